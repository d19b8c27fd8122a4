"""The interfaces of template indexes."""

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
    """Candidates: for each probe, person ids, nearest first."""

    persons: list[list[UUID]]
    degraded: bool = False
    """Whether the index was unavailable and the database was searched instead."""


class TemplateIndex(Protocol):
    """Proposes candidates; the database decides. Safe to call from several threads.

    A call sees everything committed before it, by any process.
    """

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        """Return up to `limit` person ids for each of (n, d) unit probes.

        Raises IndexUnavailable when it can't answer.
        """
        ...

    def load(self, engine: str) -> None:
        """Preload what searches with this engine need, so that none has to wait. Raises IndexUnavailable.

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
    """An index that keeps copies elsewhere; `people.index_sync` updates it.

    Each id stands for exactly one vector: a changed vector gets a new id. So a vector sent twice is
    stored once, and a late write can never replace a newer vector. Every method raises
    IndexUnavailable if the remote index doesn't respond in time.
    """

    def send(self, space: Space, vectors: Mapping[UUID, Vectors]) -> int | None:
        """Store vectors by id; return the position of this write in the index's log, if it reports one."""
        ...

    def remove(self, space: Space, ids: Sequence[UUID]) -> None:
        """Delete vectors by id; unknown ids are ignored."""
        ...

    def held(self, space: Space, ids: Sequence[UUID]) -> set[UUID]:
        """Return which of the ids a lookup returns now."""
        ...

    def searchable(self, space: Space, vector_id: UUID, vector: Vectors, position: int | None) -> bool:
        """Return whether searches include the vector, by its log position if the index reports one."""
        ...

    def listed(self, space: Space) -> Iterator[UUID]:
        """Yield every stored id."""
        ...

    def spaces(self) -> Iterator[Space]:
        """Yield every collection and engine with stored vectors."""
        ...

    def drop(self, space: Space) -> None:
        """Delete all vectors of a collection and engine."""
        ...
