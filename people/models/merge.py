from __future__ import annotations

import uuid

from django.db import models


class Merge(models.Model):
    """A merge of two records of one human, and what is needed to undo it. Names the records by id only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection_id = models.UUIDField(db_index=True)
    kept_id = models.UUIDField(db_index=True)
    merged_id = models.UUIDField(db_index=True)
    merged_status = models.CharField(max_length=10, help_text="The merged person's status before the merge.")
    photo_ids = models.JSONField(help_text="Ids of the photos that were moved, as strings.")
    merged_by = models.CharField(max_length=60)
    merged_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-merged_at"]

    def __str__(self) -> str:
        return f"Merge {self.id}"
