from __future__ import annotations

from django.db import models


class OutboxEntry(models.Model):
    """Something that must still happen because of a committed change; written in its transaction.

    The ids are in commit order: `people.outbox` sees to it. Entries of the topic PERSON_CHANGED
    are the change log that every index reads; the other topics are work for the worker.
    """

    class Topic(models.TextChoices):
        PERSON_CHANGED = "person_changed"
        ENROL_PHOTO = "enrol_photo"
        PURGE_FILE = "purge_file"
        PURGE_VECTOR = "purge_vector"
        RUN_IMPORT = "run_import"

    topic = models.CharField(max_length=20, choices=Topic.choices)
    person_id = models.UUIDField(null=True, help_text="No foreign key: the person may be gone.")
    photo_id = models.UUIDField(null=True)
    file_name = models.CharField(max_length=200, blank=True)
    vector_id = models.UUIDField(null=True)
    collection_id = models.UUIDField(null=True, help_text="Of the vector.")
    engine = models.CharField(max_length=100, blank=True, help_text="Of the vector.")
    settled_at = models.DateTimeField(null=True, help_text="From when on no late write can bring it back.")
    import_id = models.UUIDField(null=True)
    erasure_id = models.UUIDField(null=True, db_index=True, help_text="Whose receipt it belongs to.")
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(help_text="When a worker may (again) take it.")
    attempts = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True, help_text="The error's type, nothing personal.")

    class Meta:
        verbose_name = "piece of work given up"  # the only ones that staff see
        verbose_name_plural = "work given up"
        indexes = [
            models.Index(fields=["topic", "id"]),
            models.Index(fields=["due_at"], condition=models.Q(done_at=None), name="outbox_due"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"
