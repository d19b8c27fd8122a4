from __future__ import annotations

from django.db import connection


def serialise(lock: int) -> None:
    """Let one transaction at a time go on from here until it ends.

    Makes the order of ids the order of commits: on PostgreSQL a sequence alone does not. SQLite's
    writing transactions exclude each other already (transaction_mode IMMEDIATE).
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


OUTBOX = 0x0FACE001
AUDIT = 0x0FACE002
