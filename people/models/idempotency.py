from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """The response to a write request that had an Idempotency-Key, kept for 24 hours."""

    actor = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64, help_text="SHA-256 of method, path and content.")
    status = models.PositiveIntegerField(
        null=True, help_text="Empty while the first request is being processed."
    )
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    person_id = models.UUIDField(
        null=True, db_index=True, help_text="The person the response is about: erased with them."
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["actor", "key"], name="idempotency_key_is_unique_an_actor")
        ]

    def __str__(self) -> str:
        return f"Answer {self.pk}"
