"""Celery's entry points. The outbox remembers the work; a task takes one entry and does it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from people import enrolment, erasure, imports, indexing, outbox, retention
from people.actors import RETENTION
from people.errors import IndexUnavailable, ProcessingFailed
from people.models import Collection, IdempotentAnswer, OutboxEntry, Photo
from people.models.photo import photo_storage
from people.outages import is_outage
from people.waking import waking

logger = logging.getLogger(__name__)
Topic = OutboxEntry.Topic
SWEEP_SECONDS = 20
IMPORT_SECONDS = 20
"""Of an import at a time, so that other work gets its turn."""
PURGE_BATCH = 100
"""Vectors that are purged by one request."""


class StillThere(Exception):
    """What was deleted is found again: it must be deleted once more."""


@shared_task
def deliver(entry_id: int) -> None:
    """Do the work of one outbox entry, unless another worker has it."""
    entry = outbox.claim(entry_id)
    if entry is None:
        return
    try:
        if entry.topic == Topic.ENROL_PHOTO and entry.photo_id is not None:
            enrolment.enrol(entry.photo_id)
            outbox.done(entry)
        elif entry.topic == Topic.PURGE_FILE:
            _purge_file(entry)
        elif entry.topic == Topic.PURGE_VECTOR:
            _purge_vectors(entry)
        elif entry.topic == Topic.RUN_IMPORT and entry.import_id is not None:
            _run_import(entry, entry.import_id)
    except Exception as error:
        # whatever it was, the entry must be put off and, in the end, given up visibly
        _failed(entry, error)


@shared_task
def sweep() -> None:
    """Do what is due: what a lost message or a killed worker left.

    It ends in good time before the task's time limit would end it; the next sweep goes on.
    """
    until = time.monotonic() + SWEEP_SECONDS
    for entry_id in outbox.due():
        deliver(entry_id)
        if time.monotonic() > until:
            return
    tend_index()


@shared_task
def tend_index() -> None:
    """Bring a remote index up to the database, as far as it goes now."""
    until = time.monotonic() + SWEEP_SECONDS
    try:
        while indexing.tend() and time.monotonic() < until:
            pass
    except IndexUnavailable as error:
        logger.warning("The index is behind and can't be told now: %s", error.message)


@shared_task
def audit_index() -> None:
    """Compare the index with the database; drift is told as an error, for the alarm to see."""
    found = indexing.compare()
    if found.drift:
        logger.error(
            "The index has drifted: %s missing, %s extra. Run manage.py audit_index --repair.",
            found.missing,
            found.extra,
        )


@shared_task
def forget_old_answers() -> None:
    """Delete idempotent answers older than 24 hours."""
    IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - timedelta(hours=24)).delete()


@shared_task
def apply_retention() -> None:
    """Erase whom the collections' rules say to erase.

    It ends in good time before the task's time limit would end it, and has itself called again.
    """
    until = time.monotonic() + SWEEP_SECONDS
    for collection in Collection.objects.all():
        for receipt in retention.apply(collection, actor=RETENTION):
            logger.info("Erasure %s by rule %s", receipt.pk, receipt.reason)
            if time.monotonic() > until:
                waking("people.tasks.apply_retention")()
                return


@shared_task
def prune_outbox() -> None:
    """Delete what was done long ago from the outbox; in small parts, so that others can write."""
    until = time.monotonic() + SWEEP_SECONDS
    while outbox.prune() and time.monotonic() < until:
        pass


def _failed(entry: OutboxEntry, error: Exception) -> None:
    if is_outage(error):
        logger.warning("Outbox entry %s must wait: %s", entry.pk, type(error).__name__)
        outbox.put_off(entry, outbox.OUTAGE_PAUSE, type(error).__name__)
        return
    logger.error("Outbox entry %s failed", entry.pk, exc_info=error)
    if not outbox.failed(entry, error):
        return
    if entry.photo_id is not None:
        enrolment.reject(entry.photo_id, ProcessingFailed())
    if entry.import_id is not None:
        imports.give_up(entry.import_id)


def _purge_file(entry: OutboxEntry) -> None:
    storage = photo_storage()
    if not Photo.objects.filter(file=entry.file_name).exists():
        storage.delete(entry.file_name)
        if storage.exists(entry.file_name):
            raise StillThere
    erasure.purged(entry)


def _run_import(entry: OutboxEntry, import_id: UUID) -> None:
    if imports.run(import_id, until=time.monotonic() + IMPORT_SECONDS):
        outbox.done(entry)
    else:
        # behind the enrolments and purges that came meanwhile
        outbox.put_off(entry, 0, "")
        outbox.wake(entry)


def _purge_vectors(entry: OutboxEntry) -> None:
    entries = [entry, *outbox.claim_like(entry, PURGE_BATCH - 1)]
    try:
        gone, left = indexing.purge(entries)
    except Exception as error:
        for one in entries:
            _failed(one, error)
        return
    for one in gone:
        erasure.purged(one)
    now = timezone.now()
    for one in left:
        if one.settled_at is not None and one.settled_at > now:
            outbox.put_off(one, (one.settled_at - now).total_seconds() + 1, "")
        else:
            _failed(one, StillThere())
