"""Issue, change and revoke the API keys that clients authenticate with."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from people import audit
from people.actors import Actor
from people.models import ApiKey, Collection

DEFAULT_RATE = "600/min"
CHANGEABLE = ("label", "rate", "expires_at")
"""A key's scopes and collection never change: a client that needs others gets a new key."""


def issue(
    *,
    label: str,
    scopes: Iterable[str],
    actor: Actor,
    collection: Collection | None = None,
    rate: str = DEFAULT_RATE,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create an API key and return it with its full text, which is not stored.

    Without `collection` the key has access to all collections. Raises ValidationError.
    """
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = ApiKey(
        label=label,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=list(scopes),
        collection=collection,
        rate=rate,
        expires_at=expires_at,
    )
    key.full_clean()
    with transaction.atomic():
        key.save(force_insert=True)
        _record("api_key.issued", key, actor, scopes=key.scopes)
    return key, f"frk_{prefix}_{secret}"


def change(key: ApiKey, *, actor: Actor) -> ApiKey:
    """Update the key's label, rate limit and expiry, and return the stored key.

    Raises ValidationError, or ApiKey.DoesNotExist if the key was deleted with its collection.
    """
    with transaction.atomic():
        stored = ApiKey.objects.select_for_update().get(pk=key.pk)
        changed = [name for name in CHANGEABLE if getattr(stored, name) != getattr(key, name)]
        for name in changed:
            setattr(stored, name, getattr(key, name))
        stored.full_clean()
        if changed:
            stored.save(update_fields=changed)
            _record("api_key.changed", stored, actor, changed=changed)
    return stored


def revoke(key: ApiKey, *, actor: Actor) -> bool:
    """Revoke the key with immediate effect; return False if it has already been revoked."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        _record("api_key.revoked", key, actor)
    return True


def matching(text: str) -> ApiKey | None:
    """Return the valid key with this full text, or None."""
    marker, _, prefix_and_secret = text.partition("_")
    prefix, _, secret = prefix_and_secret.partition("_")
    if marker != "frk" or not secret:
        return None
    key = ApiKey.objects.filter(prefix=prefix).first()
    if key is None or not secrets.compare_digest(key.secret_hash, _hash(secret)):
        return None
    return key if key.is_valid() else None


def _record(action: str, key: ApiKey, actor: Actor, **details: object) -> None:
    # identified by its prefix, which also appears in requests and logs
    audit.record(action, actor=actor, collection_id=key.collection_id, object_id=key.prefix, details=details)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
