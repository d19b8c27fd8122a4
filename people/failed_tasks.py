"""Failed tasks: outbox entries that reached the maximum number of attempts. List and retry them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from people import audit, outbox
from people.actors import Actor
from people.models import OutboxEntry


def failed_tasks() -> QuerySet[OutboxEntry]:
    """Return the outbox entries that used up their outbox.MAX_ATTEMPTS attempts."""
    return outbox.failed_entries()


def retry(entries: QuerySet[OutboxEntry], *, actor: Actor) -> int:
    """Reset the failed tasks among these entries to their first attempt; return how many there were."""
    with transaction.atomic():
        count = outbox.restart(entries)
        if count:
            audit.record("outbox.retried", actor=actor, details={"entries": count})
    return count
