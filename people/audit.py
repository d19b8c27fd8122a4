"""The audit log of who did what: append-only and hash-chained, without names, photos or templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from people.actors import Actor, request_id
from people.database import AUDIT, serialise, without_waiting_for_the_disk
from people.models import AuditEvent

_FIRST = "0" * 64


def record(
    action: str,
    *,
    actor: Actor,
    collection_id: UUID | None = None,
    object_id: object = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append an event, in the caller's transaction if there is one.

    `details` must contain only counts, decisions and ids.
    """
    with transaction.atomic(savepoint=False):  # if the event can't be recorded, the operation must fail
        serialise(AUDIT)
        last = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first()
        event = AuditEvent(
            at=timezone.now(),
            actor=actor.label,
            action=action,
            collection_id=collection_id,
            object_id=str(object_id),
            details=dict(details or {}),
            request_id=request_id.get(),
            previous_hash=last or _FIRST,
        )
        event.hash = _hash(event)
        event.save()
    return event


record_search = without_waiting_for_the_disk()(record)
"""Like `record`, but for an operation that changed nothing: its response doesn't wait for the disk."""


def first_broken() -> AuditEvent | None:
    """Return the first event that was changed, or whose predecessor was changed or removed.

    None if the chain is intact.
    """
    previous = _FIRST
    for event in AuditEvent.objects.order_by("id").iterator():
        if event.previous_hash != previous or event.hash != _hash(event):
            return event
        previous = event.hash
    return None


def _hash(event: AuditEvent) -> str:
    content = [
        event.previous_hash,
        event.at.isoformat(),
        event.actor,
        event.action,
        str(event.collection_id or ""),
        event.object_id,
        event.details,
        event.request_id,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
