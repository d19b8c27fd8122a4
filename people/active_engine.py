"""The engine that searches use, and the secondary engines.

Both are read from the database, so that all processes agree.
"""

from __future__ import annotations

from django.db import connection

from people.engines import engine_named, get_engine
from people.engines.base import FaceEngine
from people.models import EngineVersion

State = EngineVersion.State
_ACTIVE = f"SELECT backend FROM {EngineVersion._meta.db_table} WHERE state = %s"  # noqa: S608 no input


def active_engine() -> FaceEngine:
    """Return the engine that searches use: the configured one, until `reembed` switches to another."""
    with connection.cursor() as cursor:  # raw SQL, as every search asks it: see people.gallery
        cursor.execute(_ACTIVE, [State.ACTIVE])
        row = cursor.fetchone()
    return get_engine() if row is None else engine_named(row[0])


def secondary_engines() -> list[FaceEngine]:
    """Return the engines that also get a template of every enrolment."""
    rows = EngineVersion.objects.filter(state=State.SECONDARY).order_by("pk")
    return [engine_named(backend) for backend in rows.values_list("backend", flat=True)]
