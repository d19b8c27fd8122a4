"""Tell a worker that there is work. The message may be lost: the outbox remembers, and a sweep finds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from celery import current_app

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0
"""After a failure, so that not every request waits for a broker that is away."""
_next_try = 0.0


def waking(task: str, *args: Any) -> Callable[[], None]:
    """Return what sends the task; by name, since the tasks stand above this module and call it."""
    return lambda: _send(task, args)


def _send(task: str, args: tuple[Any, ...]) -> None:
    global _next_try
    if time.monotonic() < _next_try:
        return
    try:
        current_app.send_task(task, list(args), retry=False)
    except Exception as error:
        # whichever broker it is, and whatever its library raises
        _next_try = time.monotonic() + PAUSE_SECONDS
        logger.warning(
            "No worker could be told of new work: %s. The sweep will find it.", type(error).__name__
        )
