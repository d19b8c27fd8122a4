"""The interfaces of template indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from people.faces import Vectors

LATE_WRITE = timedelta(seconds=35)
"""How long after it was sent a write without a response may still take effect in a remote index: opening the
index may take ten seconds, and the library's own retries of one request twenty."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Candidates: for each probe, person ids, nearest first."""

    persons: list[list[UUID]]
    degraded: bool = False
    """Whether the index was unavailable and the database was searched instead."""


class TemplateIndex(Protocol):
    """Proposes candidates; the database decides which of them match. Safe to call from several threads.

    A search includes everything that any process committed before it.
    """

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        """Return up to `limit` person ids for each of the (n, d) unit probes.

        Raises IndexUnavailable if the search isn't possible.
        """
        ...

    def load(self, engine: str) -> None:
        """Preload the data that searches with this engine need, so that the first search doesn't wait for it.

        Called before processes are forked, so that they share the memory. Raises IndexUnavailable.
        """
        ...

    def check(self) -> None:
        """Raise IndexUnavailable if the index can't be reached now."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors that are compared with each other: one collection's, from one engine and version."""

    collection_id: UUID
    engine: str


@runtime_checkable
class RemoteIndex(TemplateIndex, Protocol):
    """An index that stores copies of the vectors on a server; `people.index_sync` updates it.

    Each id identifies exactly one vector: a changed vector gets a new id. So a vector sent twice is stored
    once, and a late write can never replace a newer vector. Every method raises IndexUnavailable if the
    remote index doesn't respond in time.
    """

    def send(self, space: Space, vectors: Mapping[UUID, Vectors]) -> int | None:
        """Store vectors by id; return this write's position in the index's log, or None if not reported."""
        ...

    def remove(self, space: Space, ids: Sequence[UUID]) -> None:
        """Delete vectors by id; unknown ids are ignored."""
        ...

    def held(self, space: Space, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the ids that a lookup finds now."""
        ...

    def searchable(self, space: Space, vector_id: UUID, vector: Vectors, position: int | None) -> bool:
        """Return whether searches include the vector.

        They do if they have reached its log `position`. If that is None, or the search doesn't report its
        own position, they do if they return the vector's id.
        """
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
