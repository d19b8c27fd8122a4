"""What a template index is."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from people.engines.base import Vectors


class TemplateIndex(Protocol):
    """Proposes who may be near; the database decides. Safe to call from several threads.

    What was committed before a call is seen by the call, whichever process committed it.
    """

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> list[list[UUID]]:
        """Return up to `limit` person ids for each of (n, d) unit probes, nearest first.

        Raises IndexUnavailable when it can't answer.
        """
        ...

    def check(self) -> None:
        """Raise IndexUnavailable when the index can't answer now."""
        ...
