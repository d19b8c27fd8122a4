from __future__ import annotations

from django.db import models


class OutboxEntry(models.Model):
    """Work that a committed change still requires; written in the same transaction.

    The ids are in commit order, which `people.outbox` ensures. Entries with the topic PERSON_CHANGED
    are the change log that in-memory indexes read; the other topics are tasks for the worker.
    """

    class Topic(models.TextChoices):
        PERSON_CHANGED = "person_changed", "Person changed"
        ENROL_PHOTO = "enrol_photo", "Enrol photo"
        PURGE_FILE = "purge_file", "Purge file"
        PURGE_VECTOR = "purge_vector", "Purge vector"
        RUN_IMPORT = "run_import", "Run import"

    topic = models.CharField(max_length=20, choices=Topic.choices)
    person_id = models.UUIDField(null=True, help_text="Not a foreign key: the person may have been erased.")
    photo_id = models.UUIDField(null=True)
    file_name = models.CharField(max_length=200, blank=True)
    vector_id = models.UUIDField(null=True)
    collection_id = models.UUIDField(null=True, help_text="The vector's collection.")
    engine = models.CharField(max_length=100, blank=True, help_text="The vector's engine.")
    settled_at = models.DateTimeField(
        null=True, help_text="From when on no late write can restore the vector."
    )
    import_id = models.UUIDField(null=True)
    erasure_id = models.UUIDField(
        null=True, db_index=True, help_text="The erasure receipt that this task belongs to."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(help_text="When a worker may take it, for the first time or again.")
    attempts = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True, help_text="The error's type; no personal data.")

    class Meta:
        verbose_name = "failed task"  # staff see no other entries
        indexes = [
            models.Index(fields=["topic", "id"]),
            models.Index(fields=["due_at"], condition=models.Q(done_at=None), name="outbox_due"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"
