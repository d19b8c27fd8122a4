"""Tasks that failed too often and were given up: list them, and retry them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from people import audit, outbox
from people.actors import Actor
from people.models import OutboxEntry


def failed_tasks() -> QuerySet[OutboxEntry]:
    """Return the outbox entries that were given up after outbox.MAX_ATTEMPTS."""
    return outbox.given_up()


def retry(entries: QuerySet[OutboxEntry], *, actor: Actor) -> int:
    """Have those of the entries that were given up tried again from the first attempt; return how many."""
    with transaction.atomic():
        count = outbox.restart(entries)
        if count:
            audit.record("outbox.retried", actor=actor, details={"entries": count})
    return count
