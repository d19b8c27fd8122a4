"""Issue, change and revoke the API keys that programs authenticate with."""

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
"""What a key may do never changes: a program that needs more gets a new key."""


def issue(
    *,
    label: str,
    scopes: Iterable[str],
    actor: Actor,
    collection: Collection | None = None,
    rate: str = DEFAULT_RATE,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key and return it with its text, which is not stored.

    Without `collection` the key is for all collections. Raises ValidationError.
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
    """Store the key's label, rate and expiry, and return it as it is stored.

    Raises ValidationError, or ApiKey.DoesNotExist when it was deleted with its collection.
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
    """Make the key invalid from now on; return False if it was revoked before."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        _record("api_key.revoked", key, actor)
    return True


def matching(text: str) -> ApiKey | None:
    """Return the valid key that has this text, or None."""
    start, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    if start != "frk" or not secret:
        return None
    key = ApiKey.objects.filter(prefix=prefix).first()
    if key is None or not secrets.compare_digest(key.secret_hash, _hash(secret)):
        return None
    return key if key.is_valid() else None


def _record(action: str, key: ApiKey, actor: Actor, **details: object) -> None:
    # by its prefix, which requests and logs show
    audit.record(action, actor=actor, collection_id=key.collection_id, object_id=key.prefix, details=details)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
