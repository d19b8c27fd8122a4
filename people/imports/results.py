"""The result of one file of an import."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from people.models import ImportItem

State = ImportItem.State


@dataclass(frozen=True, slots=True)
class Result:
    """A file's state, a problem as stored for clients, and the id of its photo, if it has one."""

    state: State
    problem: dict[str, Any] | None = None
    photo_id: uuid.UUID | None = None
