"""Counters for rate limits: exact across all threads and processes that share one.

Django's caches and the library `limits` are exact across processes only if a server does the counting.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Protocol

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 1
PAUSE_SECONDS = 5.0


class Counter(Protocol):
    def add(self, name: str, seconds: int) -> int:
        """Add one to the count of this name and return it. A count is kept for at least `seconds`.

        Raises the storage library's own errors.
        """


class SqliteCounter:
    """Keeps counts in a file of its own, which all processes of a machine share.

    The file is opened at the first count, after gunicorn has forked: SQLite connections don't survive a fork.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = Path(path), clock
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def add(self, name: str, seconds: int) -> int:
        if not self._lock.acquire(timeout=TIMEOUT_SECONDS):
            raise TimeoutError
        try:
            with self._connection or self._open() as transaction:
                return self._add(transaction, name, seconds)
        except sqlite3.Error:
            self.close()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file. The next count opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _add(self, transaction: sqlite3.Connection, name: str, seconds: int) -> int:
        now = self._clock()
        # RETURNING would need SQLite 3.35; Red Hat Enterprise Linux 9 has 3.34
        transaction.execute(
            "INSERT INTO counts (name, count, ends_at) VALUES (?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = count + 1",
            (name, now + seconds),
        )
        row = transaction.execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
        count = int(row[0])
        if count == 1:
            transaction.execute("DELETE FROM counts WHERE ends_at < ?", (now,))
        return count

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite doesn't wait for another process that changes the journal's mode at the same time
        with self._path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._path.touch(mode=0o600)
            self._connection = sqlite3.connect(
                self._path, timeout=TIMEOUT_SECONDS, isolation_level="IMMEDIATE", check_same_thread=False
            )
            # the disk is waited for once in a thousand counts, and a power cut loses the last of them only
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS counts"
                " (name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends_at REAL NOT NULL) WITHOUT ROWID"
            )
        return self._connection


class RedisCounter:
    """Counts in Redis, for all machines."""

    def __init__(self, url: str) -> None:
        import redis  # a small installation doesn't have it

        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )

    def add(self, name: str, seconds: int) -> int:
        with self._redis.pipeline() as transaction:
            transaction.incr(name)
            transaction.expire(name, seconds)
            count, _ = transaction.execute()
        return int(count)


class OptionalCounter:
    """Counts with `counter`; while that fails, returns 1 and asks it again only every PAUSE_SECONDS.

    A failure is logged once, until counting works again.
    """

    def __init__(self, counter: Counter, clock: Callable[[], float] = time.monotonic) -> None:
        self._counter, self._clock = counter, clock
        self._lock = Lock()
        self._fails = False
        self._asked_again_at = 0.0

    def add(self, name: str, seconds: int) -> int:
        with self._lock:
            if self._fails:
                if self._clock() < self._asked_again_at:
                    return 1
                self._asked_again_at = self._clock() + PAUSE_SECONDS
        try:
            count = self._counter.add(name, seconds)
        except Exception as error:
            self._failed(error)
            return 1
        with self._lock:
            self._fails = False
        return count

    def _failed(self, error: Exception) -> None:
        with self._lock:
            if not self._fails:
                logger.warning("Requests can't be counted now: %s", type(error).__name__)
            self._fails, self._asked_again_at = True, self._clock() + PAUSE_SECONDS
