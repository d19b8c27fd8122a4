"""How a worker processes outbox entries: one handler per topic."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from people import enrolment, erasure, index_sync, outbox
from people.errors import FacerecError, IndexUnavailable, ProcessingFailed
from people.imports import jobs
from people.models import OutboxEntry, Photo
from people.models.photo import photo_storage
from people.outages import is_outage

logger = logging.getLogger(__name__)
Topic = OutboxEntry.Topic
IMPORT_SECONDS = 20
"""How long an import runs before it returns to the queue, so that other tasks get a turn."""
PURGE_BATCH = 100
"""Vectors deleted per request."""
LONG_OUTAGE = timedelta(hours=1)
"""If an entry is still delayed this long after it was written, an error is logged, which raises the alarm."""


class Done:
    """The entry's work is finished."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is wrong, but the entry isn't finished: deliver it again in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. Outages aren't counted: the entry is tried again until they end.

    After outbox.MAX_ATTEMPTS failures for any other reason, the entry becomes a failed task.
    """

    error: Exception


Outcome = Done | Later | Failed


class StillThere(Exception):
    """A file or vector still exists after it was deleted, so it must be deleted again."""


class UnknownTopic(Exception):
    """The entry's topic has no handler, because a newer version than this worker's wrote it."""


@dataclass(frozen=True, slots=True)
class Handler:
    """How entries of one topic are processed.

    `process` takes up to `batch` entries and returns an outcome for each; if it raises, all of them fail.
    `complete` records that an entry is finished. `give_up` is called when an entry becomes a failed task,
    to update the records that depend on it.
    """

    process: Callable[[Sequence[OutboxEntry]], Sequence[Outcome]]
    batch: int = 1
    complete: Callable[[OutboxEntry], None] = outbox.record_done
    give_up: Callable[[OutboxEntry], None] = lambda entry: None


def deliver(entry_id: int) -> None:
    """Process one entry, unless another worker has claimed it, in a batch with others of its topic."""
    entry = outbox.claim(entry_id)
    if entry is None:
        return
    handler = HANDLERS.get(entry.topic, _UNKNOWN)
    entries = [entry]
    if handler.batch > 1:
        entries += outbox.claim_more_of_topic(entry, handler.batch - 1)
    try:
        outcomes = list(zip(entries, handler.process(entries), strict=True))
    except Exception as error:
        # whatever the error is, the entries must be retried and eventually become failed tasks
        outcomes = [(claimed, Failed(error)) for claimed in entries]
    for claimed, outcome in outcomes:
        _settle(claimed, handler, outcome)


def sweep(seconds: float) -> None:
    """Process due entries for about `seconds` at most, then sync the index in the time left.

    A sweep finds entries whose message was lost or whose worker was killed.
    """
    until = time.monotonic() + seconds
    for entry_id in outbox.due():
        deliver(entry_id)
        if time.monotonic() > until:
            return
    sync_index(until - time.monotonic())


def sync_index(seconds: float) -> None:
    """Sync a remote index for about `seconds` at most. Logs a warning if the index is unavailable."""
    until = time.monotonic() + seconds
    try:
        while index_sync.sync() and time.monotonic() < until:
            pass
    except IndexUnavailable as error:
        logger.warning("The index could not be synced: %s", error.message)


def _settle(entry: OutboxEntry, handler: Handler, outcome: Outcome) -> None:
    match outcome:
        case Done():
            try:
                handler.complete(entry)
            except Exception as error:
                _fail(entry, handler, error)
        case Later(seconds):
            outbox.postpone(entry, seconds)
        case Failed(error):
            _fail(entry, handler, error)


def _fail(entry: OutboxEntry, handler: Handler, error: Exception) -> None:
    if is_outage(error):
        # our own messages contain no names, and may say what to do
        reason = error.message if isinstance(error, FacerecError) else type(error).__name__
        is_long = timezone.now() - entry.created_at >= LONG_OUTAGE
        logger.log(
            logging.ERROR if is_long else logging.WARNING,
            "Outbox entry %s (%s) is delayed by an outage: %s",
            entry.pk, entry.topic, reason,
        )  # fmt: skip
        outbox.await_recovery(entry, error)
        return
    is_failed_task = outbox.record_failure(entry, error)
    next_step = "it is now a failed task" if is_failed_task else "it will be retried"
    logger.error(
        "Outbox entry %s (%s) failed on attempt %s; %s",
        entry.pk, entry.topic, entry.attempts, next_step, exc_info=error,
    )  # fmt: skip
    if is_failed_task:
        try:
            handler.give_up(entry)
        except Exception:
            logger.exception(
                "Could not update the records that depend on failed task %s (%s)", entry.pk, entry.topic
            )


def _single(
    process: Callable[[OutboxEntry], Outcome],
) -> Callable[[Sequence[OutboxEntry]], Sequence[Outcome]]:
    """Return a function that processes a batch entry by entry."""
    return lambda entries: [process(entry) for entry in entries]


def _refuse_unknown(entry: OutboxEntry) -> Outcome:
    return Failed(UnknownTopic(entry.topic))


def _enrol_photo(entry: OutboxEntry) -> Outcome:
    enrolment.enrol(_required(entry.photo_id))
    return Done()


def _reject_photo(entry: OutboxEntry) -> None:
    enrolment.reject(_required(entry.photo_id), ProcessingFailed())


def _purge_file(entry: OutboxEntry) -> Outcome:
    storage = photo_storage()
    if not Photo.objects.filter(file=entry.file_name).exists():
        storage.delete(entry.file_name)
        if storage.exists(entry.file_name):
            return Failed(StillThere())
    return Done()


def _purge_vectors(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
    purged_ids = index_sync.purge(entries)
    now = timezone.now()
    outcomes: list[Outcome] = []
    for entry in entries:
        if entry.pk in purged_ids:
            outcomes.append(Done())
        elif entry.settled_at is not None and entry.settled_at > now:
            outcomes.append(Later((entry.settled_at - now).total_seconds() + 1))
        else:
            outcomes.append(Failed(StillThere()))
    return outcomes


def _run_import(entry: OutboxEntry) -> Outcome:
    has_ended = jobs.run(_required(entry.import_id), until=time.monotonic() + IMPORT_SECONDS)
    # an unfinished import goes to the end of the queue, behind enrolments and purges added in the meantime
    return Done() if has_ended else Later(0)


def _give_up_import(entry: OutboxEntry) -> None:
    jobs.give_up(_required(entry.import_id))


def _required(value: UUID | None) -> UUID:
    if value is None:
        raise TypeError("The outbox entry lacks the id that its topic needs.")
    return value


HANDLERS: Mapping[str, Handler] = {
    Topic.ENROL_PHOTO: Handler(_single(_enrol_photo), give_up=_reject_photo),
    Topic.PURGE_FILE: Handler(_single(_purge_file), complete=erasure.record_purged),
    Topic.PURGE_VECTOR: Handler(_purge_vectors, batch=PURGE_BATCH, complete=erasure.record_purged),
    Topic.RUN_IMPORT: Handler(_single(_run_import), give_up=_give_up_import),
}
"""A handler for every topic except PERSON_CHANGED, the change log that in-memory indexes read."""
_UNKNOWN = Handler(_single(_refuse_unknown))
