from __future__ import annotations

from typing import Any, NoReturn

from django.db import models


class AuditEvent(models.Model):
    """Who did what, and when. Holds no names and no biometric data.

    Append-only: each row's hash covers the hash of the row before it.
    """

    at = models.DateTimeField("time")
    actor = models.CharField(max_length=60)
    action = models.CharField(max_length=40)
    collection_id = models.UUIDField("collection ID", null=True)
    object_id = models.CharField("object ID", max_length=40, blank=True)
    details = models.JSONField(default=dict)
    request_id = models.CharField("request ID", max_length=64, blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit is append-only.")
