"""How many photos a process handles at a time, and when it rejects more.

When the cores are busy, processing two photos at a time isn't faster: it takes more memory, and delays both
responses. So each process handles one photo at a time, queues a few, and rejects the rest immediately.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from people.errors import Overloaded

MAX_REQUESTS = 8
"""Photo requests per process that are handled or queued. With photos of one face, the last one waits about a
fifth of a second. A process has twelve threads (facerec_site.gunicorn_conf): the others serve requests that
wait for something else, and reject photos above the limit."""


class Capacity:
    """Admits up to `max_requests` requests and handles one of them at a time; the others wait."""

    def __init__(self, max_requests: int) -> None:
        self._free = threading.Semaphore(max_requests)
        self._turn = threading.Lock()

    def check(self) -> None:
        """Raise Overloaded if `slot` would. Call it before doing any work for the request."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        self._free.release()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for earlier requests, then run the block alone. Raises Overloaded if too many are waiting."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        try:
            with self._turn:
                yield
        finally:
            self._free.release()


probe_capacity = Capacity(MAX_REQUESTS)
"""For requests that send a photo and wait for the response."""
