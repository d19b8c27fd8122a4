"""One photo at a time is worked on in a process, and few wait: whoever would wait long is refused at once.

On cores that are busy two at a time are not faster, only larger in memory and later to answer, both of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from people.errors import Overloaded

AT_MOST = 8
"""Requests of a process that work or wait, of its twelve threads (facerec_site.gunicorn_conf): a fifth of a
second for photos of one face, and room for those who wait for something else, or are refused."""


class Turns:
    def __init__(self, at_most: int) -> None:
        self._free = threading.Semaphore(at_most)
        self._turn = threading.Lock()

    def check(self) -> None:
        """Raise Overloaded if `taken` would: before any work is spent on the request."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        self._free.release()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for one's turn, and have it until the block ends. Raises Overloaded if too many wait."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        try:
            with self._turn:
                yield
        finally:
            self._free.release()


probing = Turns(AT_MOST)
"""Those who have a photo looked at and wait for what it shows."""
