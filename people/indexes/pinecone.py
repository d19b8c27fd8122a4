"""Pinecone (serverless, cosine): a namespace for each collection and engine, opaque ids, no metadata.

Pinecone proposes only ids. They are joined with the database's vectors, supplemented with vectors that
Pinecone may not return yet, and ranked here.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from uuid import UUID

import numpy as np
from django.db import Error
from django.db.models import Q
from pinecone import NotFoundError, Pinecone, ServerlessSpec
from pinecone.index import Index

from people.errors import IndexUnavailable
from people.faces import Vectors
from people.indexes.base import Proposals, Space
from people.indexes.circuit_breaker import CircuitBreaker
from people.indexes.embedded import EmbeddedIndex
from people.models import MeanTemplate, Person
from people.models.template import unpack

READ_SECONDS = 2.0
WRITE_SECONDS = 10.0
CONNECTION_SECONDS = 2.0
"""For each step of a request. The SDK tries four times with pauses in between, so an abandoned write may
still be made 20 seconds later: see people.indexes.base.LATE_WRITE."""
OVERFETCH = 20
"""Candidates requested in addition to the limit, because some may have been erased or suspended."""
MAX_TOP_K = 10_000
"""Pinecone's limit on the candidates of one query."""
MAX_WAITING = 5000
"""Up to this many vectors that Pinecone may not return yet are compared in this process. If there are more,
the in-memory index is searched instead."""
MAX_REQUEST_BYTES = 1_600_000
"""Below Pinecone's limit of 2 MB. A number takes up to 22 bytes as JSON."""
MAX_FETCH = 100
"""Ids per lookup: they have 36 characters each and are part of the request's URL."""
MAX_DELETE = 1000
"""Pinecone's limit on the ids of one deletion."""
LIST_PAGE = 100
"""Pinecone's limit on the ids in one page of a listing."""


class PineconeIndex:
    """Searches Pinecone, or the database's vectors in memory if Pinecone doesn't respond."""

    def __init__(self, *, api_key: str, name: str, cloud: str, region: str, control_host: str = "") -> None:
        self._client = Pinecone(api_key=api_key, host=control_host or None, timeout=CONNECTION_SECONDS)
        self._name = name
        self._place = ServerlessSpec(cloud=cloud, region=region)
        self._indexes: dict[int, Index] = {}
        self._lock = Lock()
        self._exact = EmbeddedIndex()
        self._reads = CircuitBreaker(threads=16)
        # separate, so that searches don't wait for a bulk load that is stuck
        self._writes = CircuitBreaker(threads=4)
        # separate, because searches continue without the control plane
        self._control = CircuitBreaker(threads=4)
        breakers = (self._reads, self._writes, self._control)
        weakref.finalize(self, _close, self._client, self._indexes, breakers)

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        if not len(probes):
            return Proposals([])
        space = Space(collection_id, engine)
        try:
            return self._nearest(probes, space, limit)
        except IndexUnavailable:
            exact = self._exact.nearest(probes, collection_id=collection_id, engine=engine, limit=limit)
            return Proposals(exact.persons, degraded=True)
        except Error as error:
            raise IndexUnavailable from error

    def load(self, engine: str) -> None:
        """Do nothing: Pinecone has the data that searches need."""

    def check(self) -> None:
        """Raise IndexUnavailable if Pinecone doesn't respond. Searches then use the in-memory index."""
        with self._lock:
            opened_indexes = list(self._indexes.values())
        # only a process that hasn't searched yet needs the control plane
        for index in (opened_indexes or self._all_indexes(seconds=READ_SECONDS))[:1]:
            self._reads.call(index.describe_index_stats, seconds=READ_SECONDS)

    def send(self, space: Space, vectors: Mapping[UUID, Vectors]) -> int | None:
        position: int | None = None
        items = list(vectors.items())
        size = batch_size(len(items[0][1])) if items else 1
        for start in range(0, len(items), size):
            index = self._index(len(items[0][1]), seconds=WRITE_SECONDS, create=True)
            if index is None:
                raise IndexUnavailable("Pinecone is still creating the index. Try again in a few seconds.")
            batch = items[start : start + size]
            position = self._writes.call(partial(_upsert, index, space, batch), seconds=WRITE_SECONDS)
        return position

    def remove(self, space: Space, ids: Sequence[UUID]) -> None:
        for index in self._all_indexes():
            for start in range(0, len(ids), MAX_DELETE):
                batch = [str(pk) for pk in ids[start : start + MAX_DELETE]]
                self._writes.call(
                    partial(index.delete, ids=batch, namespace=namespace_of(space)), seconds=WRITE_SECONDS
                )

    def held(self, space: Space, ids: Sequence[UUID]) -> set[UUID]:
        held_ids: set[UUID] = set()
        for index in self._all_indexes():
            for start in range(0, len(ids), MAX_FETCH):
                batch = [str(pk) for pk in ids[start : start + MAX_FETCH]]
                response = self._reads.call(
                    partial(index.fetch, ids=batch, namespace=namespace_of(space)), seconds=WRITE_SECONDS
                )
                held_ids.update(UUID(pk) for pk in response.vectors)
        return held_ids

    def searchable(self, space: Space, vector_id: UUID, vector: Vectors, position: int | None) -> bool:
        index = self._index(len(vector), seconds=WRITE_SECONDS)
        if index is None:
            return False
        ids, reached = self._reads.call(
            partial(_query, index, space, vector, OVERFETCH), seconds=WRITE_SECONDS
        )
        if position is not None and reached is not None:
            return reached >= position
        return vector_id in ids

    def listed(self, space: Space) -> Iterator[UUID]:
        for index in self._all_indexes():
            token: str | None = None
            while True:
                page = self._reads.call(
                    partial(
                        index.list_paginated,
                        namespace=namespace_of(space),
                        limit=LIST_PAGE,
                        pagination_token=token,
                    ),
                    seconds=WRITE_SECONDS,
                )
                yield from (UUID(item.id) for item in page.vectors)
                token = page.pagination.next if page.pagination else None
                if not token:
                    break

    def spaces(self) -> Iterator[Space]:
        for index in self._all_indexes():
            response = self._reads.call(index.describe_index_stats, seconds=WRITE_SECONDS)
            for namespace, summary in response.namespaces.items():
                if summary.vector_count and (space := space_of(namespace)) is not None:
                    yield space

    def drop(self, space: Space) -> None:
        for index in self._all_indexes():
            self._writes.call(partial(_drop, index, namespace_of(space)), seconds=WRITE_SECONDS)

    def _nearest(self, probes: Vectors, space: Space, limit: int) -> Proposals:
        means = MeanTemplate.objects.filter(
            collection=space.collection_id, engine=space.engine, person__status=Person.Status.ACTIVE
        )
        # Read before the query, so that a vector confirmed in the meantime is in one of the two results.
        waiting = list(means.filter(indexed_at=None).values_list("vector_id", flat=True)[: MAX_WAITING + 1])
        if len(waiting) > MAX_WAITING:
            return self._exactly(probes, space, limit)
        index = self._index(probes.shape[1], seconds=READ_SECONDS)
        requested = limit + OVERFETCH
        while True:
            top_k = min(requested, MAX_TOP_K)
            hits: list[list[UUID]] = [[] for _ in probes]
            if index is not None:
                queries = [partial(_query, index, space, probe, top_k) for probe in probes]
                hits = [ids for ids, _ in self._reads.call_all(queries, seconds=READ_SECONDS)]
            # Read after the query: if a person's template changed in the meantime, the new id is unconfirmed.
            live = {
                pk: (person_id, unpack(vector))
                for pk, person_id, vector in means.filter(
                    Q(vector_id__in={pk for row in hits for pk in row} | set(waiting)) | Q(indexed_at=None)
                ).values_list("vector_id", "person_id", "vector")
            }
            # erased and suspended people may take up too many of the places
            is_short = any(len(row) == top_k and sum(pk in live for pk in row) < limit for row in hits)
            if not is_short:
                return Proposals(_ranked(probes, list(live.values()), limit))
            if top_k == MAX_TOP_K:
                return self._exactly(probes, space, limit)
            requested *= 4

    def _exactly(self, probes: Vectors, space: Space, limit: int) -> Proposals:
        return self._exact.nearest(
            probes, collection_id=space.collection_id, engine=space.engine, limit=limit
        )

    def _index(self, dimension: int, *, seconds: float, create: bool = False) -> Index | None:
        """Return the client of the index for vectors of this dimension; None if it doesn't exist yet."""
        with self._lock:
            index = self._indexes.get(dimension)
        if index is not None:
            return index
        return self._control.call(partial(self._opened, dimension, create), seconds=seconds)

    def _opened(self, dimension: int, create: bool) -> Index | None:
        name = f"{self._name}-{dimension}"
        try:
            model = self._client.indexes.describe(name)
        except NotFoundError:
            if not create:
                return None
            model = self._client.indexes.create(
                name=name, dimension=dimension, metric="cosine", spec=self._place, timeout=-1
            )
        if not model.status.ready:
            return None
        index: Index = self._client.index(host=str(model.host))
        with self._lock:
            return self._indexes.setdefault(dimension, index)

    def _all_indexes(self, *, seconds: float = WRITE_SECONDS) -> list[Index]:
        """Return the clients of this installation's current indexes, one per vector dimension."""
        names = self._control.call(
            lambda: [index.name for index in self._client.indexes.list()], seconds=seconds
        )
        indexes = []
        for name in names:
            prefix, _, dimension = name.rpartition("-")
            if prefix == self._name and dimension.isdigit():
                indexes.append(self._index(int(dimension), seconds=seconds))
        return [index for index in indexes if index is not None]


def batch_size(dimension: int) -> int:
    """Return how many vectors of this dimension fit into one request: 1 to 1,000."""
    return max(min(MAX_REQUEST_BYTES // (22 * dimension + 60), 1000), 1)


def namespace_of(space: Space) -> str:
    """Return the namespace's name: the collection's id, a dot, and the engine's id, such as yunet-sface/1."""
    return f"{space.collection_id}.{space.engine}"


def space_of(namespace: str) -> Space | None:
    """Return the collection and engine of a namespace; None if this product didn't create it."""
    collection, _, engine = namespace.partition(".")
    try:
        return Space(UUID(collection), engine)
    except ValueError:
        return None


def _close(client: Pinecone, indexes: dict[int, Index], breakers: Sequence[CircuitBreaker]) -> None:
    for breaker in breakers:
        breaker.close()
    for index in indexes.values():
        index.close()
    client.close()


def _query(index: Index, space: Space, vector: Vectors, top_k: int) -> tuple[list[UUID], int | None]:
    """Return the nearest ids, and the log position that the search had reached; None if not reported."""
    response = index.query(top_k=top_k, vector=vector.tolist(), namespace=namespace_of(space))
    reached = response.response_info.lsn_reconciled if response.response_info else None
    return [UUID(match.id) for match in response.matches], reached


def _upsert(index: Index, space: Space, batch: Sequence[tuple[UUID, Vectors]]) -> int | None:
    response = index.upsert(
        vectors=[(str(pk), vector.tolist()) for pk, vector in batch], namespace=namespace_of(space)
    )
    return response.response_info.lsn_committed if response.response_info else None


def _drop(index: Index, namespace: str) -> None:
    with suppress(NotFoundError):  # already deleted
        index.delete_namespace(name=namespace)


def _ranked(probes: Vectors, live: list[tuple[UUID, Vectors]], limit: int) -> list[list[UUID]]:
    """Return the nearest persons' ids for each probe, by the vectors in the database."""
    if not live:
        return [[] for _ in probes]
    cosines = np.stack([vector for _, vector in live]) @ probes.T
    return [
        [live[row][0] for row in np.argsort(-cosines[:, number], kind="stable")[:limit]]
        for number in range(len(probes))
    ]
