"""What must still happen after a commit: remembered in the database, done by whoever comes first."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from random import random
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from people.broker import Task, notify_on_commit
from people.database import OUTBOX, serialise
from people.models import Erasure, OutboxEntry

LEASE = timedelta(seconds=90)
"""How long a worker has an entry to itself: longer than a task may run (CELERY_TASK_TIME_LIMIT)."""
MAX_ATTEMPTS = 10
"""After so many an entry is a dead letter: staff see it and have it tried again."""
LONGEST_PAUSE = 300
"""Seconds between two attempts."""
OUTAGE_PAUSE = 10
"""Seconds after which work is tried again that failed because something else was away."""
_LOG = OutboxEntry.Topic.PERSON_CHANGED
Topic = OutboxEntry.Topic
KEPT_FOR = timedelta(days=7)
"""How long what is done stays. An index that slept longer reads everything anew."""
PRUNED_AT_ONCE = 1000


def person_changed(person_id: UUID) -> None:
    """Tell every index that this person's template, status or existence changed."""
    serialise(OUTBOX)
    now = timezone.now()
    OutboxEntry.objects.create(topic=_LOG, person_id=person_id, due_at=now, done_at=now)


def enrol_photo(photo_id: UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker enrol the photo; `after` some time only when the caller is about to do it."""
    entry = OutboxEntry.objects.create(
        topic=Topic.ENROL_PHOTO, photo_id=photo_id, due_at=timezone.now() + after
    )
    if not after:
        wake(entry)


def photo_enrolled(photo_id: UUID) -> None:
    """Note that the photo needs no worker any more."""
    OutboxEntry.objects.filter(topic=Topic.ENROL_PHOTO, photo_id=photo_id, done_at=None).update(
        done_at=timezone.now(), last_error=""
    )


def run_import(import_id: UUID) -> None:
    """Have a worker run the import, a turn at a time."""
    wake(OutboxEntry.objects.create(topic=Topic.RUN_IMPORT, import_id=import_id, due_at=timezone.now()))


def purge_file(
    file_name: str, *, after: timedelta = timedelta(0), person_id: UUID | None = None
) -> OutboxEntry:
    """Have the stored file removed, unless a photo bears its name by then."""
    return OutboxEntry.objects.create(
        topic=Topic.PURGE_FILE, file_name=file_name, due_at=timezone.now() + after, person_id=person_id
    )


def purge_vector(
    vector_id: UUID,
    *,
    collection_id: UUID,
    engine: str,
    settled_at: datetime,
    person_id: UUID | None = None,
) -> None:
    """Have the vector removed from the remote index; `settled_at` is when no late write can bring it back."""
    wake(
        OutboxEntry.objects.create(
            topic=Topic.PURGE_VECTOR,
            vector_id=vector_id,
            collection_id=collection_id,
            engine=engine,
            settled_at=settled_at,
            person_id=person_id,
            due_at=timezone.now(),
        )
    )


def charge_to(erasure_id: UUID, person_id: UUID) -> None:
    """Have all that is still to be purged of a person stand on the receipt of their erasure."""
    OutboxEntry.objects.filter(
        topic__in=(Topic.PURGE_FILE, Topic.PURGE_VECTOR), person_id=person_id, done_at=None
    ).update(erasure_id=erasure_id)


def wake(entry: OutboxEntry) -> None:
    """Notify a worker on commit. A lost message costs the time until the next sweep."""
    notify_on_commit(Task.DELIVER, entry.pk)


def claim(entry_id: int) -> OutboxEntry | None:
    """Take a due entry for the time of a lease; None when it is done, taken or gone."""
    taken = _due().filter(pk=entry_id)
    entry = taken.first()
    if entry is None:
        return None
    claimed = taken.filter(attempts=entry.attempts).update(
        due_at=timezone.now() + LEASE, attempts=entry.attempts + 1
    )
    return OutboxEntry.objects.get(pk=entry_id) if claimed else None


def claim_like(entry: OutboxEntry, limit: int) -> list[OutboxEntry]:
    """Take up to `limit` further due entries of the same topic, to be done in one go."""
    others = _due().filter(topic=entry.topic).exclude(pk=entry.pk).order_by("due_at")
    taken = [claim(pk) for pk in others.values_list("pk", flat=True)[:limit]]
    return [one for one in taken if one is not None]


def done(entry: OutboxEntry) -> None:
    OutboxEntry.objects.filter(pk=entry.pk).update(done_at=timezone.now(), last_error="")


def put_off(entry: OutboxEntry, seconds: float, why: str) -> None:
    """Have the entry tried later, without counting this try: nothing was wrong with the entry."""
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=seconds * (0.5 + random())),
        attempts=max(entry.attempts - 1, 0),
        last_error=why,
    )


def failed(entry: OutboxEntry, error: Exception) -> bool:
    """Put the entry off, longer each time, with jitter; return whether it was the last try."""
    seconds = min(2**entry.attempts, LONGEST_PAUSE) * (0.5 + random())
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=seconds), last_error=type(error).__name__
    )
    return entry.attempts >= MAX_ATTEMPTS


def due(limit: int = 500) -> list[int]:
    """Return the ids of entries that somebody should take now, oldest first."""
    return list(_due().order_by("due_at").values_list("id", flat=True)[:limit])


def prune_all(seconds: float) -> None:
    """Delete what was finished long ago, in small parts so that others can write, for at most `seconds`."""
    until = time.monotonic() + seconds
    while prune() and time.monotonic() < until:
        pass


def prune() -> int:
    """Delete some of what was done long ago and return how much: 0 when nothing is left to delete.

    Of the change log the oldest part goes, and never its newest entry: by its id an index knows how
    far the log has come, and by the oldest id that is left whether it missed a part.
    """
    before = timezone.now() - KEPT_FOR
    log = OutboxEntry.objects.filter(topic=_LOG)
    # up to the first young entry: a clock that was set back must not leave a hole
    young = log.filter(done_at__gte=before).order_by("id").values_list("id", flat=True).first()
    newest = log.order_by("-id").values_list("id", flat=True).first()
    old = log.filter(id__lt=young or newest or 0)
    work = OutboxEntry.objects.filter(done_at__lt=before).exclude(topic=_LOG)
    work = work.exclude(erasure_id__in=Erasure.objects.filter(completed_at=None).values("pk"))
    ids = [
        *old.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
        *work.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
    ]
    return OutboxEntry.objects.filter(pk__in=ids).delete()[0]


def _due() -> QuerySet[OutboxEntry]:
    return OutboxEntry.objects.filter(
        done_at=None, due_at__lte=timezone.now(), attempts__lt=MAX_ATTEMPTS
    ).exclude(topic=_LOG)
