"""Outbox entries for tests, and their delivery without pauses."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from people import delivery, outbox
from people.models import OutboxEntry

Topic = OutboxEntry.Topic


def an_entry(topic: str = Topic.PURGE_FILE, **fields: Any) -> OutboxEntry:
    """Create an entry, which is due now unless `due_at` is given."""
    return OutboxEntry.objects.create(topic=topic, **{"due_at": timezone.now(), **fields})


def a_failed_task(topic: str = Topic.PURGE_FILE, **fields: Any) -> OutboxEntry:
    """Create an entry whose last attempt failed, unless `fields` say otherwise."""
    return an_entry(topic, **{"attempts": outbox.MAX_ATTEMPTS, **fields})


def deliver(entry: OutboxEntry, times: int = 1) -> OutboxEntry:
    """Deliver the entry `times` times without pauses, and reload it."""
    for _ in range(times):
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
        delivery.deliver(entry.pk)
    entry.refresh_from_db()
    return entry
