from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Commit what is done inside without waiting until the disk has it.

    All processes see it at once, and none of them can lose it by being killed; a power cut may take
    the last moments of it. Inside a transaction it does nothing: what that one promises, holds.
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
