from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from people.models.collection import Collection, validate_key
from people.models.guarded import GuardedModel, GuardedQuerySet

MAX_METADATA_BYTES = 4096


def validate_metadata(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError("Metadata must be a JSON object.")
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise ValidationError("Metadata must be 4 KB at most.")


class PersonQuerySet(GuardedQuerySet["Person"]):
    def findable(self) -> PersonQuerySet:
        """Return the people a search may return: active, and with consent where it is required."""
        now = timezone.now()
        consented = models.Q(consent_given_at__lte=now) & (
            models.Q(consent_expires_at=None) | models.Q(consent_expires_at__gt=now)
        )
        return self.filter(
            models.Q(collection__requires_consent=False) | consented, status=Person.Status.ACTIVE
        )


class Person(GuardedModel):
    """One human being in one collection."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        MERGED = "merged"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="persons")
    external_id = models.CharField(
        max_length=255,
        null=True,
        blank=True,
        validators=[validate_key],
        help_text="Your own id of this person, unique in the collection.",
    )
    name = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True, validators=[validate_metadata])
    status = models.CharField(
        max_length=10,
        choices=Status.choices,
        default=Status.ACTIVE,
        help_text="A suspended person stays enrolled and is never found.",
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="merged"
    )
    last_interaction_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="Enrolled, matched or changed; to the hour."
    )
    consent_given_at = models.DateTimeField(null=True, blank=True)
    consent_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PersonQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "people"
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "external_id"],
                name="person_external_id_is_unique_in_collection",
                violation_error_code="unique",
                violation_error_message="Somebody in this collection has this external_id already.",
            )
        ]
        indexes = [models.Index(fields=["collection", "-created_at", "-id"])]

    def __str__(self) -> str:
        return self.name or self.external_id or str(self.id)

    def clean(self) -> None:
        self.external_id = self.external_id or None
        if self.consent_expires_at and not self.consent_given_at:
            raise ValidationError({"consent_given_at": "Say when the consent was given, too."})

    def has_consent(self) -> bool:
        """Return whether consent is recorded and has not expired."""
        now = timezone.now()
        return bool(
            self.consent_given_at
            and self.consent_given_at <= now
            and (self.consent_expires_at is None or self.consent_expires_at > now)
        )
