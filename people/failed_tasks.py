"""Outbox entries that were given up after outbox.MAX_ATTEMPTS: list them, and try them again."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from people import audit, outbox
from people.actors import Actor
from people.models import OutboxEntry


def failed_tasks() -> QuerySet[OutboxEntry]:
    """Return the entries that were given up, or whose worker died at the last attempt."""
    return OutboxEntry.objects.filter(
        done_at=None, attempts__gte=outbox.MAX_ATTEMPTS, due_at__lte=timezone.now()
    ).exclude(topic=OutboxEntry.Topic.PERSON_CHANGED)


def retry(entries: QuerySet[OutboxEntry], *, actor: Actor) -> int:
    """Have those of the entries that were given up tried again from the start; return how many."""
    given_up = entries.filter(done_at=None, attempts__gte=outbox.MAX_ATTEMPTS)
    with transaction.atomic():
        rows = list(given_up.select_for_update())
        if not rows:
            return 0
        OutboxEntry.objects.filter(pk__in=[row.pk for row in rows]).update(attempts=0, due_at=timezone.now())
        audit.record("outbox.retried", actor=actor, details={"entries": len(rows)})
        for row in rows:
            outbox.wake(row)
    return len(rows)
