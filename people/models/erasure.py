from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


def backups_expire_at() -> datetime:
    """Return when the last backup that may still contain data erased now is deleted."""
    return timezone.now() + timedelta(days=settings.FACEREC_BACKUP_DAYS)


class Erasure(models.Model):
    """Erasure receipt: how much was deleted, and when that was verified. Names the person by id only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person_id = models.UUIDField("person ID", db_index=True)
    collection_id = models.UUIDField("collection ID")
    reason = models.CharField(
        max_length=30,
        default="request",
        help_text="`request`, `reapplied` (after a restore), or the name of a retention rule.",
    )
    photos = models.PositiveIntegerField()
    templates = models.PositiveIntegerField()
    files_purged = models.PositiveIntegerField(
        default=0, help_text="Stored files whose deletion was verified."
    )
    vectors_purged = models.PositiveIntegerField(
        default=0, help_text="Vectors whose deletion from the remote index was verified."
    )
    requested_by = models.CharField(max_length=60)
    requested_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(
        null=True, help_text="When a check found that all files and vectors are deleted."
    )
    backups_expire_at = models.DateTimeField(default=backups_expire_at)

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"Erasure {self.id}"

    @property
    def status(self) -> str:
        return "complete" if self.completed_at else "pending"
