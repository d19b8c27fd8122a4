"""Exact search in this process's memory, fed by the change log, so that it is never behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from threading import Lock
from uuid import UUID

import faiss
import numpy as np
from django.conf import settings
from django.db import Error
from django.db.models import Max, Min, QuerySet
from numpy.typing import NDArray

from people.engines.base import Vectors
from people.errors import IndexUnavailable
from people.indexes.base import Proposals
from people.models import MeanTemplate, OutboxEntry, Person
from people.models.template import unpack

_CHUNK = 500
_LOADED_AT_ONCE = 5000


class EmbeddedIndex:
    """One matrix of mean templates for each collection and engine.

    Each search first reads the last id of the change log and applies what is new: the check costs
    microseconds, and no process can answer from an older state than the database had when asked.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._engines: dict[str, _Engine] = {}

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        try:
            with self._lock:
                state = self._engines.setdefault(engine, _Engine(engine))
                state.catch_up()
                matrix = state.matrices.get(collection_id)
                if matrix is None:
                    return Proposals([[] for _ in probes])
                return Proposals(matrix.nearest(probes, limit, threads=settings.FACEREC_THREADS))
        except Error as error:
            raise IndexUnavailable from error

    def check(self) -> None:
        try:
            OutboxEntry.objects.aggregate(last=Max("id"))
        except Error as error:
            raise IndexUnavailable from error


class _Engine:
    """The matrices of one engine, and how far they have followed the change log."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.applied: int | None = None
        self.matrices: dict[UUID, Matrix] = {}
        self.homes: dict[UUID, UUID] = {}

    def catch_up(self) -> None:
        changes = OutboxEntry.objects.filter(topic=OutboxEntry.Topic.PERSON_CHANGED)
        last = changes.aggregate(last=Max("id"))["last"] or 0
        if last == self.applied:
            return
        if self.applied is None or last < self.applied:  # first use, or the database was restored
            self._rebuild()
        else:
            ids = set(changes.filter(id__gt=self.applied, id__lte=last).values_list("person_id", flat=True))
            # asked for after the changes were read: what was pruned by then may be missing among them
            oldest = changes.aggregate(oldest=Min("id"))["oldest"]
            if oldest is None or oldest > self.applied:
                self._rebuild()
            else:
                self._refresh([person_id for person_id in ids if person_id is not None])
        self.applied = last

    def _rebuild(self) -> None:
        self.matrices, self.homes = {}, {}
        self._put(MeanTemplate.objects.filter(engine=self.engine))

    def _refresh(self, person_ids: list[UUID]) -> None:
        for start in range(0, len(person_ids), _CHUNK):
            chunk = person_ids[start : start + _CHUNK]
            for person_id in chunk:
                if (home := self.homes.pop(person_id, None)) is not None:
                    self.matrices[home].remove(person_id)
            self._put(MeanTemplate.objects.filter(engine=self.engine, person__in=chunk))

    def _put(self, means: QuerySet[MeanTemplate]) -> None:
        found = (
            means.filter(person__status=Person.Status.ACTIVE)
            .values_list("collection_id", "person_id", "vector")
            .iterator(chunk_size=_LOADED_AT_ONCE)
        )
        while some := list(islice(found, _LOADED_AT_ONCE)):
            by_home: dict[UUID, list[tuple[UUID, bytes | memoryview]]] = defaultdict(list)
            for collection_id, person_id, vector in some:
                by_home[collection_id].append((person_id, vector))
                self.homes[person_id] = collection_id
            for collection_id, members in by_home.items():
                person_ids, vectors = zip(*members, strict=True)
                rows = np.stack([unpack(vector) for vector in vectors])
                if collection_id not in self.matrices:
                    self.matrices[collection_id] = Matrix(rows.shape[1])
                self.matrices[collection_id].extend(person_ids, rows)


class Matrix:
    """Unit vectors in half precision, one a person; removal moves the last one into the gap.

    Half the memory to read is half the time of a search. Two that differ by less than 0.0005 of a
    cosine may change places among the proposals; callers score them by the database's own vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._persons: list[UUID] = []
        self._positions: dict[UUID, int] = {}

    def extend(self, person_ids: Sequence[UUID], vectors: Vectors) -> None:
        for position, person_id in enumerate(person_ids, len(self._persons)):
            self._positions[person_id] = position
        self._persons.extend(person_ids)
        self._index.add(np.ascontiguousarray(vectors))

    def remove(self, person_id: UUID) -> None:
        gap = self._positions.pop(person_id)
        last = self._persons.pop()
        rows = self._rows()
        if last != person_id:
            self._persons[gap] = last
            self._positions[last] = gap
            rows[gap] = rows[-1]
        rows[-1] = 0  # an erased face leaves no copy in memory
        self._index.codes.resize(rows[:-1].size)
        self._index.ntotal = len(rows) - 1

    def nearest(self, probes: Vectors, limit: int, *, threads: int) -> list[list[UUID]]:
        count = len(self._persons)
        if not count or not len(probes):
            return [[] for _ in probes]
        faiss.omp_set_num_threads(threads)  # OpenMP keeps it for each calling thread
        _, positions = self._index.search(np.ascontiguousarray(probes), min(limit, count))
        return [[self._persons[position] for position in row if position >= 0] for row in positions]

    def _rows(self) -> NDArray[np.uint8]:
        """Return the index's own memory, a row a person."""
        size = self._index.code_size
        codes = faiss.rev_swig_ptr(self._index.codes.data(), self._index.ntotal * size)
        return np.asarray(codes).reshape(-1, size)
