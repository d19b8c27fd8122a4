"""What must still happen after a commit: remembered in the database, done by whoever comes first."""

from __future__ import annotations

from datetime import timedelta
from random import random
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.utils import timezone

from people.models import Erasure, OutboxEntry
from people.models.locks import OUTBOX, serialise

LEASE = timedelta(seconds=90)
"""How long a worker has an entry to itself: longer than a task may run (CELERY_TASK_TIME_LIMIT)."""
MAX_ATTEMPTS = 10
KEPT_FOR = timedelta(days=7)
"""How long what is done stays. An index that slept longer reads everything anew."""
PRUNED_AT_ONCE = 1000
_WORK = (OutboxEntry.Topic.ENROL_PHOTO, OutboxEntry.Topic.PURGE_FILE)


def person_changed(person_id: UUID) -> None:
    """Tell every index that this person's template, status or existence changed."""
    serialise(OUTBOX)
    now = timezone.now()
    OutboxEntry.objects.create(
        topic=OutboxEntry.Topic.PERSON_CHANGED, person_id=person_id, due_at=now, done_at=now
    )


def enrol_photo(photo_id: UUID) -> None:
    """Have a worker enrol the photo."""
    entry = OutboxEntry.objects.create(
        topic=OutboxEntry.Topic.ENROL_PHOTO, photo_id=photo_id, due_at=timezone.now()
    )
    wake(entry)


def purge_file(file_name: str, *, after: timedelta = timedelta(0)) -> OutboxEntry:
    """Have the stored file removed, unless a photo bears its name by then."""
    return OutboxEntry.objects.create(
        topic=OutboxEntry.Topic.PURGE_FILE, file_name=file_name, due_at=timezone.now() + after
    )


def wake(entry: OutboxEntry) -> None:
    """Tell a worker once all is committed. A lost message costs the time to the next sweep."""
    # by name: the tasks stand above this module, and call it
    transaction.on_commit(
        lambda: current_app.send_task("people.tasks.deliver", [entry.pk], retry=False), robust=True
    )


def claim(entry_id: int) -> OutboxEntry | None:
    """Take a due entry for the time of a lease; None when it is done, taken or gone."""
    now = timezone.now()
    taken = OutboxEntry.objects.filter(
        pk=entry_id, topic__in=_WORK, done_at=None, due_at__lte=now, attempts__lt=MAX_ATTEMPTS
    )
    entry = taken.first()
    if entry is None:
        return None
    claimed = taken.filter(attempts=entry.attempts).update(due_at=now + LEASE, attempts=entry.attempts + 1)
    return OutboxEntry.objects.get(pk=entry_id) if claimed else None


def done(entry: OutboxEntry) -> None:
    OutboxEntry.objects.filter(pk=entry.pk).update(done_at=timezone.now(), last_error="")


def failed(entry: OutboxEntry, error: Exception) -> bool:
    """Put the entry off, longer each time, with jitter; return whether it was the last try."""
    seconds = min(2**entry.attempts, 300) * (0.5 + random())
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=seconds), last_error=type(error).__name__
    )
    return entry.attempts >= MAX_ATTEMPTS


def due(limit: int = 500) -> list[int]:
    """Return the ids of entries that somebody should take now, oldest first."""
    return list(
        OutboxEntry.objects.filter(
            topic__in=_WORK, done_at=None, due_at__lte=timezone.now(), attempts__lt=MAX_ATTEMPTS
        )
        .order_by("due_at")
        .values_list("id", flat=True)[:limit]
    )


def prune() -> int:
    """Delete some of what was done long ago and return how much: 0 when nothing is left to delete.

    Of the change log the oldest part goes, and never its newest entry: by its id an index knows how
    far the log has come, and by the oldest id that is left whether it missed a part.
    """
    before = timezone.now() - KEPT_FOR
    log = OutboxEntry.objects.filter(topic=OutboxEntry.Topic.PERSON_CHANGED)
    # up to the first young entry: a clock that was set back must not leave a hole
    young = log.filter(done_at__gte=before).order_by("id").values_list("id", flat=True).first()
    newest = log.order_by("-id").values_list("id", flat=True).first()
    old = log.filter(id__lt=young or newest or 0)
    work = OutboxEntry.objects.filter(done_at__lt=before).exclude(topic=OutboxEntry.Topic.PERSON_CHANGED)
    work = work.exclude(erasure_id__in=Erasure.objects.filter(completed_at=None).values("pk"))
    ids = [
        *old.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
        *work.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
    ]
    return OutboxEntry.objects.filter(pk__in=ids).delete()[0]
