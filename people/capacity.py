"""How many photos a process works on at a time, and when it refuses more.

On cores that are busy, two photos at a time aren't faster; they only take more memory, and both answers
come later. So a process works on one photo, queues a few, and rejects the rest immediately.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from people.errors import Overloaded

MAX_REQUESTS = 8
"""Requests of a process that work or wait, of its twelve threads (facerec_site.gunicorn_conf): a fifth of a
second for photos of one face. The other threads serve requests that wait for other things, or are refused."""


class Capacity:
    """Room for `max_requests` requests, of which one works at a time."""

    def __init__(self, max_requests: int) -> None:
        self._free = threading.Semaphore(max_requests)
        self._work = threading.Lock()

    def check(self) -> None:
        """Raise Overloaded if `slot` would, before any work is spent on the request."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        self._free.release()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for the other requests, then work until the block ends. Raises Overloaded if too many wait."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        try:
            with self._work:
                yield
        finally:
            self._free.release()


probe_capacity = Capacity(MAX_REQUESTS)
"""For requests that send a photo and wait for the answer."""
