"""Every difference between SQLite and PostgreSQL: locks, durability, and wiping deleted bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

OUTBOX = 0x0FACE001
AUDIT = 0x0FACE002
_PREPARATION = 7_246_031_185
"""Keys of PostgreSQL's advisory locks: arbitrary numbers that nothing else in the database may use."""


def serialise(lock: int) -> None:
    """Let only one transaction at a time continue past this call; that one then holds the lock until it ends.

    This puts ids in commit order, which a sequence alone doesn't guarantee on PostgreSQL. On SQLite only one
    transaction can write at a time anyway (transaction_mode IMMEDIATE).
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


@contextmanager
def one_preparation_at_a_time() -> Iterator[None]:
    """Wait until no other process is preparing this database. On SQLite, migrations lock the database."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        # the timeout is meant for requests; waiting for the lock and migrating may take longer
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [_PREPARATION])
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_PREPARATION])
                cursor.execute("RESET statement_timeout")


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Commit the block's changes without waiting until they are on disk.

    Every process sees them immediately, and killing a process can't lose them, but a power failure may lose
    the most recent ones. Inside a transaction this has no effect: that transaction's commit waits.
    """
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=NORMAL")
            try:
                with transaction.atomic():
                    yield
            finally:
                cursor.execute("PRAGMA synchronous=FULL")
        else:
            with transaction.atomic():
                cursor.execute("SET LOCAL synchronous_commit = off")
                yield


def wipe_deleted_bytes() -> None:
    """Write SQLite's write-ahead log into the database file, overwriting deleted rows, and empty the log.

    Does nothing on PostgreSQL, whose server manages its files.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
