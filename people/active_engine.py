"""Which engine answers, and which stand beside it: as the database says, so that all processes agree."""

from __future__ import annotations

from people.engines import engine_named, get_engine
from people.engines.base import FaceEngine
from people.models import EngineVersion

State = EngineVersion.State


def active_engine() -> FaceEngine:
    """Return the engine that searches use: the settings', until `reembed` chose another."""
    backend = EngineVersion.objects.filter(state=State.ACTIVE).values_list("backend", flat=True).first()
    return get_engine() if backend is None else engine_named(backend)


def engines_beside() -> list[FaceEngine]:
    """Return the engines that get a template of every enrolment, too."""
    rows = EngineVersion.objects.filter(state=State.BESIDE).order_by("pk")
    return [engine_named(backend) for backend in rows.values_list("backend", flat=True)]
