"""Celery's entry points. The outbox remembers the work; a task takes one entry and does it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from people import enrolment, outbox, retention
from people.actors import RETENTION
from people.errors import ProcessingFailed
from people.models import Collection, IdempotentAnswer, OutboxEntry, Photo
from people.models.photo import photo_storage

logger = logging.getLogger(__name__)
SWEEP_SECONDS = 20


@shared_task
def deliver(entry_id: int) -> None:
    """Do the work of one outbox entry, unless another worker has it."""
    entry = outbox.claim(entry_id)
    if entry is None:
        return
    try:
        if entry.topic == OutboxEntry.Topic.ENROL_PHOTO and entry.photo_id is not None:
            enrolment.enrol(entry.photo_id)
        elif entry.topic == OutboxEntry.Topic.PURGE_FILE:
            _purge(entry.file_name)
    except Exception as error:
        # whatever it was, the entry must be put off and, in the end, given up visibly
        logger.exception("Outbox entry %s failed", entry.pk)
        if outbox.failed(entry, error) and entry.photo_id is not None:
            enrolment.reject(entry.photo_id, ProcessingFailed())
        return
    outbox.done(entry)


@shared_task
def sweep() -> None:
    """Do what is due: what a lost message or a killed worker left.

    It ends in good time before the task's time limit would end it; the next sweep goes on.
    """
    until = time.monotonic() + SWEEP_SECONDS
    for entry_id in outbox.due():
        deliver(entry_id)
        if time.monotonic() > until:
            break


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
                apply_retention.delay()
                return


@shared_task
def prune_outbox() -> None:
    """Delete what was done long ago from the outbox; in small parts, so that others can write."""
    until = time.monotonic() + SWEEP_SECONDS
    while outbox.prune() and time.monotonic() < until:
        pass


def _purge(file_name: str) -> None:
    if not Photo.objects.filter(file=file_name).exists():
        photo_storage().delete(file_name)
