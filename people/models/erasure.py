from __future__ import annotations

import uuid

from django.db import models


class Erasure(models.Model):
    """That a person was erased, and how much went. It knows the person by id only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person_id = models.UUIDField(db_index=True)
    collection_id = models.UUIDField()
    photos = models.PositiveIntegerField()
    templates = models.PositiveIntegerField()
    requested_by = models.CharField(max_length=60)
    requested_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"Erasure {self.id}"
