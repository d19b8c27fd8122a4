"""What a worker does with an entry of the outbox: one handler for each topic."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from people import enrolment, erasure, index_sync, outbox
from people.errors import IndexUnavailable, ProcessingFailed
from people.imports import jobs
from people.models import OutboxEntry, Photo
from people.models.photo import photo_storage
from people.outages import is_outage

logger = logging.getLogger(__name__)
Topic = OutboxEntry.Topic
IMPORT_SECONDS = 20
"""Of an import at a time, so that other work gets its turn."""
PURGE_BATCH = 100
"""Vectors that one request deletes."""


class Done:
    """The entry's work is finished."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is wrong, but the entry isn't finished: deliver it again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """This attempt failed. After outbox.MAX_ATTEMPTS the entry is given up."""

    error: Exception


Outcome = Done | Later | Failed


class StillThere(Exception):
    """Something that was deleted still exists: delete it again."""


class UnknownTopic(Exception):
    """No handler exists for the entry's topic, so this worker is older than the process that wrote it."""


@dataclass(frozen=True, slots=True)
class Handler:
    """How entries of one topic are processed.

    `process` takes up to `batch` entries and returns an outcome for each; an error that it raises
    fails them all. `complete` records that one is finished; `give_up` what else an abandoned entry changes.
    """

    process: Callable[[Sequence[OutboxEntry]], Sequence[Outcome]]
    batch: int = 1
    complete: Callable[[OutboxEntry], None] = outbox.done
    give_up: Callable[[OutboxEntry], None] = lambda entry: None


def deliver(entry_id: int) -> None:
    """Process one entry, unless another worker has it."""
    entry = outbox.claim(entry_id)
    if entry is None:
        return
    handler = HANDLERS.get(Topic(entry.topic)) if entry.topic in Topic.values else None
    if handler is None:
        _settle(entry, Handler(process=lambda entries: ()), Failed(UnknownTopic(entry.topic)))
        return
    entries = [entry]
    if handler.batch > 1:
        entries += outbox.claim_like(entry, handler.batch - 1)
    try:
        outcomes = handler.process(entries)
    except Exception as error:
        # whatever it was: the entries must be tried again and, in the end, given up visibly
        outcomes = [Failed(error)] * len(entries)
    for delivered, outcome in zip(entries, outcomes, strict=True):
        _settle(delivered, handler, outcome)


def sweep(seconds: float) -> None:
    """Process what is due, for at most about `seconds`, then sync the index if there is time left.

    This finds what a lost message or a killed worker left behind.
    """
    until = time.monotonic() + seconds
    for entry_id in outbox.due():
        deliver(entry_id)
        if time.monotonic() > until:
            return
    sync_index(seconds)


def sync_index(seconds: float) -> None:
    """Bring a remote index up to date, as far as it gets in `seconds`. An unavailable index is logged."""
    until = time.monotonic() + seconds
    try:
        while index_sync.sync() and time.monotonic() < until:
            pass
    except IndexUnavailable as error:
        logger.warning("The index is behind and can't be updated now: %s", error.message)


def _settle(entry: OutboxEntry, handler: Handler, outcome: Outcome) -> None:
    match outcome:
        case Done():
            handler.complete(entry)
        case Later(seconds):
            outbox.put_off(entry, seconds, "")
            if not seconds:
                outbox.wake(entry)
        case Failed(error) if is_outage(error):
            logger.warning("Outbox entry %s must wait: %s", entry.pk, type(error).__name__)
            outbox.put_off(entry, outbox.OUTAGE_PAUSE, type(error).__name__)
        case Failed(error):
            logger.error("Outbox entry %s failed", entry.pk, exc_info=error)
            if outbox.failed(entry, error):
                handler.give_up(entry)


def _enrol_photo(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
    (entry,) = entries
    enrolment.enrol(_id(entry.photo_id))
    return [Done()]


def _reject_photo(entry: OutboxEntry) -> None:
    enrolment.reject(_id(entry.photo_id), ProcessingFailed())


def _purge_file(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
    (entry,) = entries
    storage = photo_storage()
    if not Photo.objects.filter(file=entry.file_name).exists():
        storage.delete(entry.file_name)
        if storage.exists(entry.file_name):
            raise StillThere
    return [Done()]


def _purge_vectors(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
    gone = index_sync.purge(entries)
    now = timezone.now()
    outcomes: list[Outcome] = []
    for entry in entries:
        if entry.pk in gone:
            outcomes.append(Done())
        elif entry.settled_at is not None and entry.settled_at > now:
            outcomes.append(Later((entry.settled_at - now).total_seconds() + 1))
        else:
            outcomes.append(Failed(StillThere()))
    return outcomes


def _run_import(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
    (entry,) = entries
    ended = jobs.run(_id(entry.import_id), until=time.monotonic() + IMPORT_SECONDS)
    # an unfinished one queues behind the enrolments and purges that came meanwhile
    return [Done() if ended else Later(0)]


def _give_up_import(entry: OutboxEntry) -> None:
    jobs.give_up(_id(entry.import_id))


def _id(value: UUID | None) -> UUID:
    if value is None:
        raise TypeError("The outbox entry lacks the id that its topic needs.")
    return value


HANDLERS: Mapping[OutboxEntry.Topic, Handler] = {
    Topic.ENROL_PHOTO: Handler(_enrol_photo, give_up=_reject_photo),
    Topic.PURGE_FILE: Handler(_purge_file, complete=erasure.purged),
    Topic.PURGE_VECTOR: Handler(_purge_vectors, batch=PURGE_BATCH, complete=erasure.purged),
    Topic.RUN_IMPORT: Handler(_run_import, give_up=_give_up_import),
}
"""Every topic that is work for a worker. PERSON_CHANGED is a log, which indexes read."""
