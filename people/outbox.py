"""Work that follows a commit: written in the same transaction, done by the first worker that claims it."""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from datetime import datetime, timedelta
from random import random
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from people.broker import Task, notify_on_commit
from people.database import OUTBOX, serialise
from people.models import Erasure, OutboxEntry

Topic = OutboxEntry.Topic
LEASE = timedelta(seconds=90)
"""How long a claimed entry belongs to its worker: longer than a task may run (CELERY_TASK_TIME_LIMIT)."""
MAX_ATTEMPTS = 10
"""After this many failures an entry has failed: staff see it under failed tasks and can retry it."""
LONGEST_PAUSE = 300
"""Seconds between two attempts."""
OUTAGE_PAUSE = 10
"""Seconds until an entry that waits for the end of an outage is tried again."""
KEPT_FOR = timedelta(days=7)
"""How long finished entries are kept. An index that missed more of the change log rebuilds itself."""
PRUNED_AT_ONCE = 1000


def person_changed(person_id: UUID) -> None:
    """Append to the change log that this person's template, status or existence changed.

    Every index reads the log. In the caller's transaction.
    """
    serialise(OUTBOX)
    now = timezone.now()
    OutboxEntry.objects.create(topic=Topic.PERSON_CHANGED, person_id=person_id, due_at=now, done_at=now)


def enrol_photo(photo_id: UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker enrol the photo. `after` is for a caller that is about to enrol it itself."""
    entry = OutboxEntry.objects.create(
        topic=Topic.ENROL_PHOTO, photo_id=photo_id, due_at=timezone.now() + after
    )
    if not after:
        wake(entry)


def photo_enrolled(photo_id: UUID) -> None:
    """Record that the photo no longer needs a worker to enrol it."""
    OutboxEntry.objects.filter(topic=Topic.ENROL_PHOTO, photo_id=photo_id, done_at=None).update(
        done_at=timezone.now(), last_error=""
    )


def cancel_enrolments(photo_ids: Several[UUID]) -> None:
    """Drop the entries of photos that are being erased."""
    OutboxEntry.objects.filter(photo_id__in=photo_ids).delete()


def run_import(import_id: UUID) -> None:
    """Have a worker run the import, in turns."""
    wake(OutboxEntry.objects.create(topic=Topic.RUN_IMPORT, import_id=import_id, due_at=timezone.now()))


def request_file_purge(
    file_name: str, *, after: timedelta = timedelta(0), person_id: UUID | None = None
) -> OutboxEntry:
    """Have the stored file deleted, unless a photo has this file when the time comes."""
    return OutboxEntry.objects.create(
        topic=Topic.PURGE_FILE, file_name=file_name, due_at=timezone.now() + after, person_id=person_id
    )


def request_vector_purge(
    vector_id: UUID,
    *,
    collection_id: UUID,
    engine: str,
    settled_at: datetime,
    person_id: UUID | None = None,
) -> None:
    """Have the vector deleted from the remote index. From `settled_at` on no late write can restore it."""
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


def assign_purges_to_receipt(erasure_id: UUID, person_id: UUID) -> None:
    """Count every purge of this person that is still to be done on the receipt of their erasure."""
    OutboxEntry.objects.filter(
        topic__in=(Topic.PURGE_FILE, Topic.PURGE_VECTOR), person_id=person_id, done_at=None
    ).update(erasure_id=erasure_id)


def cancel(entry: OutboxEntry) -> None:
    """Delete an entry whose work is no longer needed."""
    OutboxEntry.objects.filter(pk=entry.pk).delete()


def make_due_now(entry: OutboxEntry) -> None:
    """Make an entry that was written for later due now."""
    OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
    wake(entry)


def wake(entry: OutboxEntry) -> None:
    """Notify a worker on commit. If the message is lost, the next sweep finds the entry."""
    notify_on_commit(Task.DELIVER, entry.pk)


def claim(entry_id: int) -> OutboxEntry | None:
    """Lease a due entry and count the attempt. Return None if it is done, claimed or deleted."""
    due_entry = _due().filter(pk=entry_id)
    entry = due_entry.first()
    if entry is None:
        return None
    # another worker may have claimed it since it was read
    claimed = due_entry.filter(attempts=entry.attempts).update(
        due_at=timezone.now() + LEASE, attempts=F("attempts") + 1
    )
    return OutboxEntry.objects.filter(pk=entry_id).first() if claimed else None


def claim_more_of_topic(entry: OutboxEntry, limit: int) -> list[OutboxEntry]:
    """Lease up to `limit` further due entries of the same topic, oldest first."""
    others = _due().filter(topic=entry.topic).exclude(pk=entry.pk).order_by("due_at", "pk")
    claimed = (claim(entry_id) for entry_id in others.values_list("pk", flat=True)[:limit])
    return [other for other in claimed if other is not None]


def done(entry: OutboxEntry) -> None:
    """Finish the entry."""
    OutboxEntry.objects.filter(pk=entry.pk).update(done_at=timezone.now(), last_error="")


def postpone(entry: OutboxEntry, seconds: float) -> None:
    """Make a claimed entry due in `seconds`. The attempt isn't counted: nothing is wrong."""
    _uncount(entry, seconds, "")
    if not seconds:
        wake(entry)


def await_recovery(entry: OutboxEntry, error: Exception) -> None:
    """Make a claimed entry due in about OUTAGE_PAUSE, spread so that not all entries return together.

    The attempt isn't counted: nothing is wrong with the entry.
    """
    _uncount(entry, _spread(OUTAGE_PAUSE), type(error).__name__)


def failed(entry: OutboxEntry, error: Exception) -> bool:
    """Make a claimed entry due again, later after each failure; return whether it has failed instead."""
    is_given_up = entry.attempts >= MAX_ATTEMPTS
    pause = 0 if is_given_up else _spread(min(2**entry.attempts, LONGEST_PAUSE))
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=pause), last_error=type(error).__name__
    )
    return is_given_up


def failed_entries() -> QuerySet[OutboxEntry]:
    """Return the entries that failed too often, or whose worker died at the last attempt."""
    return OutboxEntry.objects.filter(
        done_at=None, attempts__gte=MAX_ATTEMPTS, due_at__lte=timezone.now()
    ).exclude(topic=Topic.PERSON_CHANGED)


def restart(entries: QuerySet[OutboxEntry]) -> int:
    """Retry those of the entries that failed, from the first attempt; return how many.

    In the caller's transaction.
    """
    restarted = list(failed_entries().filter(pk__in=entries.values("pk")).select_for_update())
    OutboxEntry.objects.filter(pk__in=[entry.pk for entry in restarted]).update(
        attempts=0, due_at=timezone.now()
    )
    for entry in restarted:
        wake(entry)
    return len(restarted)


def due(limit: int = 500) -> list[int]:
    """Return the ids of entries that a worker should take now, oldest first."""
    return list(_due().order_by("due_at", "pk").values_list("pk", flat=True)[:limit])


def prune_all(seconds: float) -> None:
    """Delete entries finished long ago, in small batches so that others can write, for at most `seconds`."""
    until = time.monotonic() + seconds
    while prune() and time.monotonic() < until:
        pass


def prune() -> int:
    """Delete some of the entries that were finished long ago; return how many, 0 when none are left.

    Only the oldest part of the change log is deleted, and never its newest entry: an index knows by
    the newest id how far the log has come, and by the oldest whether it missed a part.
    """
    before = timezone.now() - KEPT_FOR
    log = OutboxEntry.objects.filter(topic=Topic.PERSON_CHANGED)
    # up to the first young entry: a clock that was set back must not leave a hole
    young = log.filter(done_at__gte=before).order_by("id").values_list("id", flat=True).first()
    newest = log.order_by("-id").values_list("id", flat=True).first()
    old = log.filter(id__lt=young or newest or 0)
    work = OutboxEntry.objects.filter(done_at__lt=before).exclude(topic=Topic.PERSON_CHANGED)
    # a receipt counts its entries until it is complete
    work = work.exclude(erasure_id__in=Erasure.objects.filter(completed_at=None).values("pk"))
    ids = [
        *old.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
        *work.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
    ]
    return OutboxEntry.objects.filter(pk__in=ids).delete()[0]


def _due() -> QuerySet[OutboxEntry]:
    return OutboxEntry.objects.filter(
        done_at=None, due_at__lte=timezone.now(), attempts__lt=MAX_ATTEMPTS
    ).exclude(topic=Topic.PERSON_CHANGED)


def _uncount(entry: OutboxEntry, seconds: float, reason: str) -> None:
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=seconds),
        attempts=max(entry.attempts - 1, 0),
        last_error=reason,
    )


def _spread(seconds: float) -> float:
    """Return between half and one and a half times as many seconds."""
    return seconds * (0.5 + random())
