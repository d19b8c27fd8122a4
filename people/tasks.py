"""Celery's entry points. Each task makes one call into the module that does the work."""

from __future__ import annotations

from celery import shared_task

from people import delivery, index_sync, outbox, retention
from people.actors import RETENTION
from people.api import idempotency
from people.broker import Task, notify

SECONDS = 20
"""Time budget per task, well below CELERY_TASK_TIME_LIMIT; the next run continues the work."""


@shared_task(name=Task.DELIVER)
def deliver(entry_id: int) -> None:
    """Process one outbox entry, unless another worker has claimed it."""
    delivery.deliver(entry_id)


@shared_task(name=Task.SWEEP)
def sweep() -> None:
    """Process due outbox entries."""
    delivery.sweep(SECONDS)


@shared_task(name=Task.SYNC_INDEX)
def sync_index() -> None:
    """Bring a remote index up to date."""
    delivery.sync_index(SECONDS)


@shared_task(name=Task.AUDIT_INDEX)
def audit_index() -> None:
    """Compare a remote index with the database, and log any difference as an error."""
    index_sync.report_drift()


@shared_task(name=Task.FORGET_OLD_ANSWERS)
def forget_old_answers() -> None:
    """Delete expired responses that were stored for Idempotency-Keys."""
    idempotency.delete_expired_responses()


@shared_task(name=Task.APPLY_RETENTION)
def apply_retention() -> None:
    """Erase the people who are due under retention rules; queue another run if some are left."""
    if not retention.apply_to_all(seconds=SECONDS, actor=RETENTION):
        notify(Task.APPLY_RETENTION)


@shared_task(name=Task.PRUNE_OUTBOX)
def prune_outbox() -> None:
    """Delete old finished entries from the outbox."""
    outbox.prune_all(SECONDS)
