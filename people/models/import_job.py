from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import models

from people.models.collection import Collection


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of an import's files are in each state."""

    total: int = 0
    pending: int = 0
    enrolled: int = 0
    known: int = 0
    rejected: int = 0
    skipped: int = 0
    persons_to_create: int | None = None
    """In a dry run: people in the source who aren't in the collection yet."""

    @property
    def done(self) -> int:
        return self.total - self.pending


class ImportJob(models.Model):
    """Photos of many people, enrolled from one archive, folder or bucket prefix."""

    class Source(models.TextChoices):
        ZIP = "zip", "Uploaded ZIP"
        FOLDER = "folder"
        S3 = "s3", "S3 prefix"

    class State(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        COMPLETE = "complete"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="imports")
    source = models.CharField(max_length=10, choices=Source.choices)
    location = models.CharField(
        max_length=1200, help_text="The ZIP's name in the storage, the folder's path, or s3://bucket/prefix."
    )
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the source's list of files, to detect changes."
    )
    dry_run = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    problem = models.JSONField(null=True, help_text="Why the whole import failed: code and detail.")
    counts = models.JSONField(
        null=True, help_text="Files by state, once the import is finished: the members of Counts."
    )
    current_counts: Counts
    """Set by imports.jobs.with_counts."""
    submitted_by = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "import"
        indexes = [models.Index(fields=["collection", "-created_at", "-id"])]  # the API's list

    def __str__(self) -> str:
        return f"Import {self.id}"


class ImportItem(models.Model):
    """One file of an import, and its result."""

    class State(models.TextChoices):
        PENDING = "pending"
        ENROLLED = "enrolled"
        KNOWN = "known", "Already enrolled"
        REJECTED = "rejected"
        SKIPPED = "skipped"

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField(help_text="Its position in the source, from 0.")
    path = models.CharField(
        max_length=1024, help_text="Its path in the source; empty once the person is erased."
    )
    person_key = models.CharField(
        max_length=255, help_text="The folder's name, or the external_id in people.csv."
    )
    person_id = models.UUIDField(
        null=True, db_index=True, help_text="Not a foreign key: the person may have been erased."
    )
    photo_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    problem = models.JSONField(null=True, help_text="Why it was not enrolled: code, detail and reasons.")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="import_item_is_one_a_place")]
        indexes = [models.Index(fields=["job", "state", "number"])]

    def __str__(self) -> str:
        return f"Item {self.number} of import {self.job_id}"
