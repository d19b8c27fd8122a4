"""A circuit breaker that limits the time of calls to a library, and refuses calls after repeated failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import TypeVar

from people.errors import IndexUnavailable

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class CircuitBreaker:
    """Runs calls in its own threads, and abandons a call that doesn't return in time.

    After `failures` consecutive failures, calls are refused for `pause` seconds: callers fail immediately,
    and the server gets time to recover. Then a single call is let through, to check whether the server is
    available again.
    """

    def __init__(
        self,
        *,
        threads: int,
        failures: int = 5,
        pause: float = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="index")
        self._limit, self._pause, self._clock = failures, pause, clock
        self._lock = Lock()
        self._failures = 0
        self._refused_until = 0.0

    def call(self, work: Callable[[], _T], *, seconds: float) -> _T:
        """Return the result of `work`. Raises IndexUnavailable if it fails or times out."""
        return self.call_all([work], seconds=seconds)[0]

    def call_all(self, works: Sequence[Callable[[], _T]], *, seconds: float) -> list[_T]:
        """Run all of `works` concurrently, within `seconds`, and return their results.

        Raises IndexUnavailable if any of them fails or times out, or while calls are refused.
        """
        self._admit()
        try:
            results = self._all(works, seconds)
        except Exception as error:
            self._failed()
            if isinstance(error, IndexUnavailable):
                raise
            # the text of the library's error may contain what was sent, so only its type is logged
            logger.warning("A call to the index failed: %s", type(error).__name__)
            raise IndexUnavailable from error
        with self._lock:
            self._failures = 0
        return results

    def close(self) -> None:
        """Shut down the threads without waiting for calls in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _admit(self) -> None:
        with self._lock:
            if self._failures < self._limit:
                return
            if self._clock() < self._refused_until:
                raise IndexUnavailable
            self._refused_until = self._clock() + self._pause  # for all calls except this one, which checks

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._refused_until = self._clock() + self._pause

    def _all(self, works: Sequence[Callable[[], _T]], seconds: float) -> list[_T]:
        futures = [self._threads.submit(work) for work in works]
        _, late = wait(futures, timeout=seconds)
        if late:
            for future in late:
                future.cancel()  # has an effect only on calls that were still waiting for a thread
            raise TimeoutError
        return [future.result() for future in futures]
