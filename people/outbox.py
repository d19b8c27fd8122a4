"""The outbox: work to do after a commit. It is written in the same transaction, and a worker claims it."""

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
"""After this many failed attempts an entry is a failed task: staff see it and can retry it."""
LONGEST_PAUSE = 300
"""The most seconds between two attempts, before `_spread`."""
OUTAGE_PAUSE = 10
"""Seconds until an entry that waits for the end of an outage is tried again."""
KEPT_FOR = timedelta(days=7)
"""How long finished entries are kept. An index that missed more of the change log rebuilds itself."""
PRUNED_AT_ONCE = 1000
"""Entries deleted per statement: at most this many from the change log, and as many of the other topics."""


def person_changed(person_id: UUID) -> None:
    """Append to the change log that this person was created, changed or erased.

    Every in-memory index reads the log. Must be called in a transaction.
    """
    serialise(OUTBOX)
    now = timezone.now()
    OutboxEntry.objects.create(topic=Topic.PERSON_CHANGED, person_id=person_id, due_at=now, done_at=now)


def request_enrolment(photo_id: UUID, *, after: timedelta = timedelta(0)) -> None:
    """Queue the photo's enrolment. Callers that are about to enrol it themselves pass a delay in `after`."""
    entry = OutboxEntry.objects.create(
        topic=Topic.ENROL_PHOTO, photo_id=photo_id, due_at=timezone.now() + after
    )
    if not after:
        wake(entry)


def record_enrolment_done(photo_id: UUID) -> None:
    """Record that the photo no longer needs a worker to enrol it."""
    OutboxEntry.objects.filter(topic=Topic.ENROL_PHOTO, photo_id=photo_id, done_at=None).update(
        done_at=timezone.now(), last_error=""
    )


def cancel_enrolments(photo_ids: Several[UUID]) -> None:
    """Delete the entries of photos that are being erased."""
    OutboxEntry.objects.filter(photo_id__in=photo_ids).delete()


def request_import(import_id: UUID) -> None:
    """Queue the import.

    A worker runs it for a limited time, then queues it again, so that other tasks get a turn.
    """
    wake(OutboxEntry.objects.create(topic=Topic.RUN_IMPORT, import_id=import_id, due_at=timezone.now()))


def request_file_purge(
    file_name: str, *, after: timedelta = timedelta(0), person_id: UUID | None = None
) -> OutboxEntry:
    """Queue the deletion of a stored file, and return the entry; a file that a photo uses by then is kept.

    Unless `wake` is called with the entry, the next sweep after it is due finds it.
    """
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
    """Queue the deletion of a vector from the remote index, and notify a worker on commit.

    From `settled_at` on, no late write can restore the vector.
    """
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
    """Have the person's pending purges counted on the receipt of their erasure once they are done."""
    OutboxEntry.objects.filter(
        topic__in=(Topic.PURGE_FILE, Topic.PURGE_VECTOR), person_id=person_id, done_at=None
    ).update(erasure_id=erasure_id)


def cancel(entry: OutboxEntry) -> None:
    """Delete an entry whose work is no longer needed."""
    OutboxEntry.objects.filter(pk=entry.pk).delete()


def make_due_now(entry: OutboxEntry) -> None:
    """Make an entry that is due later due now, and notify a worker on commit."""
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
    candidates = _due().filter(topic=entry.topic).exclude(pk=entry.pk).order_by("due_at", "pk")
    claimed_entries = (claim(entry_id) for entry_id in candidates.values_list("pk", flat=True)[:limit])
    return [claimed for claimed in claimed_entries if claimed is not None]


def record_done(entry: OutboxEntry) -> None:
    """Record that the entry's work is finished."""
    OutboxEntry.objects.filter(pk=entry.pk).update(done_at=timezone.now(), last_error="")


def postpone(entry: OutboxEntry, seconds: float) -> None:
    """Make a claimed entry due in `seconds`. The attempt isn't counted, because nothing failed."""
    _uncount(entry, seconds, "")
    if not seconds:
        wake(entry)


def await_recovery(entry: OutboxEntry, error: Exception) -> None:
    """Make a claimed entry due in about OUTAGE_PAUSE, spread so that the entries aren't all retried at once.

    The attempt isn't counted, because the entry isn't at fault.
    """
    _uncount(entry, _spread(OUTAGE_PAUSE), type(error).__name__)


def record_failure(entry: OutboxEntry, error: Exception) -> bool:
    """Record a failed attempt; return whether it was the last one, which makes the entry a failed task.

    Otherwise the entry is due again after a pause that grows with each failure.
    """
    was_last_attempt = entry.attempts >= MAX_ATTEMPTS
    pause = 0 if was_last_attempt else _spread(min(2**entry.attempts, LONGEST_PAUSE))
    OutboxEntry.objects.filter(pk=entry.pk).update(
        due_at=timezone.now() + timedelta(seconds=pause), last_error=type(error).__name__
    )
    return was_last_attempt


def failed_entries() -> QuerySet[OutboxEntry]:
    """Return the entries whose last attempt failed, or whose worker died during it: the failed tasks."""
    return OutboxEntry.objects.filter(
        done_at=None, attempts__gte=MAX_ATTEMPTS, due_at__lte=timezone.now()
    ).exclude(topic=Topic.PERSON_CHANGED)


def restart(entries: QuerySet[OutboxEntry]) -> int:
    """Retry the given entries that are failed tasks, counting attempts from zero; return how many there were.

    Must be called in a transaction.
    """
    restarted = list(failed_entries().filter(pk__in=entries.values("pk")).select_for_update())
    OutboxEntry.objects.filter(pk__in=[entry.pk for entry in restarted]).update(
        attempts=0, due_at=timezone.now()
    )
    for entry in restarted:
        wake(entry)
    return len(restarted)


def due(limit: int = 500) -> list[int]:
    """Return the ids of the entries that are due, oldest first."""
    return list(_due().order_by("due_at", "pk").values_list("pk", flat=True)[:limit])


def prune_all(seconds: float) -> None:
    """Delete entries that finished more than KEPT_FOR ago, for about `seconds` at most.

    The transactions are small, so that other processes can write in between.
    """
    until = time.monotonic() + seconds
    while prune() and time.monotonic() < until:
        pass


def prune() -> int:
    """Delete some of the entries that finished more than KEPT_FOR ago; return how many, 0 if none are left.

    Only the oldest part of the change log is deleted, and never its newest entry: from the newest id an
    index learns how far the log has advanced, and from the oldest id whether it missed any entries.
    """
    before = timezone.now() - KEPT_FOR
    change_log = OutboxEntry.objects.filter(topic=Topic.PERSON_CHANGED)
    # up to the first recent entry, so that a clock that was set back can't leave a gap in the log
    recent_changes = change_log.filter(done_at__gte=before)
    first_recent_id = recent_changes.order_by("id").values_list("id", flat=True).first()
    newest_id = change_log.order_by("-id").values_list("id", flat=True).first()
    old_changes = change_log.filter(id__lt=first_recent_id or newest_id or 0)
    old_work = OutboxEntry.objects.filter(done_at__lt=before).exclude(topic=Topic.PERSON_CHANGED)
    # a receipt counts its entries until it is complete
    old_work = old_work.exclude(erasure_id__in=Erasure.objects.filter(completed_at=None).values("pk"))
    ids = [
        *old_changes.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
        *old_work.order_by("id").values_list("id", flat=True)[:PRUNED_AT_ONCE],
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
    """Return a random duration between 0.5 and 1.5 times `seconds`."""
    return seconds * (0.5 + random())
