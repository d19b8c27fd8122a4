"""Every difference between SQLite and PostgreSQL: locks, durability, and wiping deleted bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

OUTBOX = 0x0FACE001
AUDIT = 0x0FACE002
_PREPARATION = 7_246_031_185
"""Keys of PostgreSQL's advisory locks: arbitrary, as long as nothing else in the database uses them."""


def serialise(lock: int) -> None:
    """Let only one transaction at a time proceed from here until it ends.

    This puts ids in commit order, which a sequence alone doesn't guarantee on PostgreSQL.
    On SQLite writing transactions exclude each other anyway (transaction_mode IMMEDIATE).
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


@contextmanager
def one_preparation_at_a_time() -> Iterator[None]:
    """Wait until no other process prepares this database. On SQLite migrations lock it by themselves."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        # the limit is for requests; waiting here and migrating may take longer
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

    Every process sees them immediately, and killing a process can't lose them; a power cut may lose the
    last moments. Inside a transaction this has no effect: the transaction's own commit waits.
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
    """Write SQLite's log back into its file, which overwrites deleted rows, and empty the log.

    PostgreSQL's files belong to its server.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
