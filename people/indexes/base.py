"""What a template index is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from people.faces import Vectors

LATE_WRITE = timedelta(seconds=35)
"""How long after it was sent an unanswered write may still take effect in a remote index: opening the index
may take ten seconds, and the library's own retries of one request twenty."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Who may be near: for each probe person ids, nearest first."""

    persons: list[list[UUID]]
    degraded: bool = False
    """Whether the index could not answer, and the database was searched in its place."""


class TemplateIndex(Protocol):
    """Proposes who may be near; the database decides. Safe to call from several threads.

    What was committed before a call is seen by the call, whichever process committed it.
    """

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        """Return up to `limit` person ids for each of (n, d) unit probes.

        Raises IndexUnavailable when it can't answer.
        """
        ...

    def load(self, engine: str) -> None:
        """Read what searches with this engine need, so that none has to wait for it. Raises IndexUnavailable.

        Called before processes are forked, which then share what was read.
        """
        ...

    def check(self) -> None:
        """Raise IndexUnavailable when the index can't answer now."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """Vectors that are compared with each other: one collection's, of one engine and version."""

    collection_id: UUID
    engine: str


@runtime_checkable
class RemoteIndex(TemplateIndex, Protocol):
    """An index that keeps copies elsewhere and must be told; `people.index_sync` does.

    It knows vectors by ids that stand for one vector each: another vector, another id. So what is
    sent twice is there once, and a late write can never replace a newer one. Every method raises
    IndexUnavailable when the other side doesn't answer in time.
    """

    def send(self, space: Space, vectors: Mapping[UUID, Vectors]) -> int | None:
        """Store vectors by id; return the position of this write in the index's log, if it tells."""
        ...

    def remove(self, space: Space, ids: Sequence[UUID]) -> None:
        """Delete by id; ids that are not there are no error."""
        ...

    def held(self, space: Space, ids: Sequence[UUID]) -> set[UUID]:
        """Return which of the ids a lookup finds now."""
        ...

    def searchable(self, space: Space, vector_id: UUID, vector: Vectors, position: int | None) -> bool:
        """Return whether a search finds what was sent, by its log position where the index tells it."""
        ...

    def listed(self, space: Space) -> Iterator[UUID]:
        """Yield every id that is kept."""
        ...

    def spaces(self) -> Iterator[Space]:
        """Yield every collection and engine that something is kept for."""
        ...

    def drop(self, space: Space) -> None:
        """Delete all that is kept for a collection and engine."""
        ...
