from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
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
    """What a program shows to be let in. Only a hash is kept: the key itself is shown once.

    The secret has 256 random bits, so a plain SHA-256 can't be guessed from.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label = models.CharField(max_length=100, help_text="Which program uses it.")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=default_scopes, validators=[validate_scopes])
    collection = models.ForeignKey(
        Collection, null=True, blank=True, on_delete=models.CASCADE, help_text="Empty: all collections."
    )
    rate = models.CharField(
        max_length=20,
        default="600/min",
        validators=[RegexValidator(r"\A[1-9][0-9]{0,6}/(sec|min|hour|day)\Z", "Write it as 600/min.")],
        help_text="Requests allowed, as 600/min; sec, min, hour or day.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.label} (frk_{self.prefix}_…)"

    @classmethod
    def issue(
        cls,
        *,
        label: str,
        scopes: Iterable[str],
        collection: Collection | None = None,
        rate: str = "600/min",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Store a new key and return it with its text, which can't be had again."""
        prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = cls(
            label=label,
            prefix=prefix,
            secret_hash=_hash(secret),
            scopes=list(scopes),
            collection=collection,
            rate=rate,
            expires_at=expires_at,
        )
        key.full_clean()
        key.save()
        return key, f"frk_{prefix}_{secret}"

    @classmethod
    def matching(cls, text: str) -> ApiKey | None:
        """Return the valid key whose text this is, or None."""
        start, _, rest = text.partition("_")
        prefix, _, secret = rest.partition("_")
        if start != "frk" or not secret:
            return None
        key = cls.objects.filter(prefix=prefix).first()
        if key is None or not secrets.compare_digest(key.secret_hash, _hash(secret)):
            return None
        return key if key.is_valid() else None

    def is_valid(self) -> bool:
        now = timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
