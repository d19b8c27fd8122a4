"""Notify workers of new work. Messages may get lost: the work is in the outbox, where a sweep finds it."""

from __future__ import annotations

import logging
import time
from enum import StrEnum
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0
"""No notifications are sent for this long after a failure, so that requests don't all wait for the broker."""
_next_try = 0.0


class Task(StrEnum):
    """The tasks of `people.tasks`, by the names used in messages and schedules.

    A name must never change: a queued message may be read by a newer version than the one that sent it.
    """

    DELIVER = "people.tasks.deliver"
    SWEEP = "people.tasks.sweep"
    SYNC_INDEX = "people.tasks.tend_index"
    AUDIT_INDEX = "people.tasks.audit_index"
    FORGET_OLD_ANSWERS = "people.tasks.forget_old_answers"
    APPLY_RETENTION = "people.tasks.apply_retention"
    PRUNE_OUTBOX = "people.tasks.prune_outbox"


def notify_on_commit(task: Task, *args: Any) -> None:
    """Have a worker run the task once the current transaction is committed."""
    transaction.on_commit(partial(notify, task, *args), robust=True)


def notify(task: Task, *args: Any) -> None:
    """Have a worker run the task. Never raises: if the broker is down, the sweep finds the work."""
    global _next_try
    if time.monotonic() < _next_try:
        return
    try:
        current_app.send_task(task, list(args), retry=False)
    except Exception as error:
        # the exception depends on the broker's library
        _next_try = time.monotonic() + PAUSE_SECONDS
        logger.warning(
            "No worker could be notified of new work (%s). The sweep will find it.", type(error).__name__
        )
