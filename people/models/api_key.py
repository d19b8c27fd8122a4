from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from people.models.collection import Collection

SCOPES = ("detect", "identify", "enrol", "manage", "erase")


def validate_scopes(value: Any) -> None:
    if not isinstance(value, list) or not value or any(scope not in SCOPES for scope in value):
        raise ValidationError(f"Choose one or more of: {', '.join(SCOPES)}.")


def default_scopes() -> list[str]:
    return ["detect", "identify"]


class ApiKey(models.Model):
    """What a client of the API authenticates with. Only a hash is stored; the key itself is shown once.

    The secret has 256 random bits, so a plain SHA-256 hash doesn't reveal it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label = models.CharField(max_length=100, help_text="The program that uses this key.")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=default_scopes, validators=[validate_scopes])
    collection = models.ForeignKey(
        Collection,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        help_text="Leave empty to give access to all collections.",
    )
    rate = models.CharField(
        "rate limit",
        max_length=20,
        default="600/min",
        validators=[
            RegexValidator(
                r"\A[1-9][0-9]{0,6}/(sec|min|hour|day)\Z",
                "Use the format 600/min; the unit is sec, min, hour or day.",
            )
        ],
        help_text="Maximum number of requests, for example 600/min. The unit is sec, min, hour or day.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.label} (frk_{self.prefix}_…)"

    def is_valid(self) -> bool:
        now = timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
