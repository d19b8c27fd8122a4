"""Exact search in this process's memory, fed by the change log, so that it is never behind."""

from __future__ import annotations

from threading import Lock
from uuid import UUID

import faiss
import numpy as np
from django.conf import settings
from django.db import Error
from django.db.models import Max, Min, QuerySet

from people.engines.base import Vectors
from people.errors import IndexUnavailable
from people.indexes.base import Proposals
from people.models import MeanTemplate, OutboxEntry, Person
from people.models.template import unpack

_CHUNK = 500


class EmbeddedIndex:
    """One matrix of mean templates for each collection and engine.

    Each search first reads the last id of the change log and applies what is new: the check costs
    microseconds, and no process can answer from an older state than the database had when asked.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._engines: dict[str, _Engine] = {}
        faiss.omp_set_num_threads(settings.FACEREC_THREADS)

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        try:
            with self._lock:
                state = self._engines.setdefault(engine, _Engine(engine))
                state.catch_up()
                matrix = state.matrices.get(collection_id)
                return Proposals(matrix.nearest(probes, limit) if matrix else [[] for _ in probes])
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
        self.matrices: dict[UUID, _Matrix] = {}
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
        rows = (
            means.filter(person__status=Person.Status.ACTIVE)
            .values_list("collection_id", "person_id", "vector")
            .iterator(chunk_size=5000)
        )
        for collection_id, person_id, vector in rows:
            self.matrices.setdefault(collection_id, _Matrix()).put(person_id, unpack(vector))
            self.homes[person_id] = collection_id


class _Matrix:
    """Rows of unit vectors, one a person; removal moves the last row into the gap."""

    def __init__(self) -> None:
        self._rows: Vectors = np.empty((0, 0), dtype=np.float32)
        self._persons: list[UUID] = []
        self._positions: dict[UUID, int] = {}

    def put(self, person_id: UUID, vector: Vectors) -> None:
        if len(self._persons) == len(self._rows):
            grown = np.empty((max(2 * len(self._rows), 16), len(vector)), dtype=np.float32)
            if self._persons:
                grown[: len(self._persons)] = self._rows
            self._rows = grown
        self._rows[len(self._persons)] = vector
        self._positions[person_id] = len(self._persons)
        self._persons.append(person_id)

    def remove(self, person_id: UUID) -> None:
        gap = self._positions.pop(person_id)
        last = self._persons.pop()
        if last != person_id:
            self._persons[gap] = last
            self._positions[last] = gap
            self._rows[gap] = self._rows[len(self._persons)]
        self._rows[len(self._persons)] = 0  # an erased face leaves no copy in memory

    def nearest(self, probes: Vectors, limit: int) -> list[list[UUID]]:
        count = len(self._persons)
        if not count or not len(probes):
            return [[] for _ in probes]
        _, positions = faiss.knn(
            np.ascontiguousarray(probes),
            self._rows[:count],
            min(limit, count),
            metric=faiss.METRIC_INNER_PRODUCT,
        )
        return [[self._persons[position] for position in row if position >= 0] for row in positions]
