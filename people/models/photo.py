from __future__ import annotations

import uuid
from typing import Any

from django.core.files.storage import storages
from django.core.files.storage.base import Storage
from django.db import models

from people.models.guarded import GuardedModel, GuardedQuerySet
from people.models.person import Person


def photo_storage() -> Storage:
    return storages["default"]


def only_face() -> str:
    return "only"


class Photo(GuardedModel):
    """A photo submitted to enrol a person, and the outcome."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="photos")
    file = models.FileField(storage=photo_storage, max_length=200)
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the file as sent.")
    width = models.PositiveIntegerField(help_text="Pixels of the upright photo, as stored.")
    height = models.PositiveIntegerField(help_text="Pixels of the upright photo, as stored.")
    face_choice = models.JSONField(
        default=only_face, help_text='"only", "largest", or the box [left, top, width, height] in pixels.'
    )
    quality_level = models.CharField(max_length=10, default="auto")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    rejection = models.JSONField(
        null=True, blank=True, help_text="Why it was rejected: code, detail and measured reasons."
    )
    warnings = models.JSONField(default=list, blank=True, help_text="Warnings as raised at enrolment.")
    current_warnings: list[dict[str, Any]]
    """Warnings as they apply after all merges; set by api.responses.records.with_warnings."""
    submitted_by = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = GuardedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["person", "-created_at", "-id"])]  # the API's list
        constraints = [
            models.UniqueConstraint(fields=["person", "sha256"], name="photo_is_enrolled_once_a_person"),
        ]

    def __str__(self) -> str:
        return f"Photo {self.id}"
