"""Exact search in this process's memory, updated from the change log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Any
from uuid import UUID

import faiss
import numpy as np
from django.conf import settings
from django.db import Error, connection
from django.db.models import Min, QuerySet
from numpy.typing import NDArray

from people.errors import IndexUnavailable
from people.faces import Vectors
from people.indexes.base import Proposals
from people.models import MeanTemplate, OutboxEntry, Person
from people.models.template import unpack

SCALE = 127
"""The number 1 is stored as this: a signed byte ranges from -128 to 127."""
LARGE_COLLECTION = 1_000_000
"""People in one collection. Above this, a warning in the log recommends Pinecone."""
_CHUNK = 500
"""Changed people per query."""
_LOADED_AT_ONCE = 5000
"""Mean templates read at a time when an index is built."""
_LAST_CHANGE = f"SELECT MAX(id) FROM {OutboxEntry._meta.db_table} WHERE topic = %s"  # noqa: S608 no input
_ID = np.dtype([("high", "<u8"), ("low", "<u8")])
logger = logging.getLogger(__name__)


class EmbeddedIndex:
    """One matrix of mean templates for each collection and engine.

    Each search first reads the last id of the change log, which takes microseconds, and applies any new
    changes. So no search uses an older state than the database had when the search began.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._engines: dict[str, _Engine] = {}

    def nearest(self, probes: Vectors, *, collection_id: UUID, engine: str, limit: int) -> Proposals:
        with self._up_to_date(engine) as state:
            matrix = state.matrices.get(collection_id)
            if matrix is None:
                return Proposals([[] for _ in probes])
            return Proposals(matrix.nearest(probes, limit, threads=settings.FACEREC_THREADS))

    def load(self, engine: str) -> None:
        with self._up_to_date(engine):
            pass

    @contextmanager
    def _up_to_date(self, engine: str) -> Iterator[_Engine]:
        try:
            with self._lock:
                state = self._engines.setdefault(engine, _Engine(engine))
                state.catch_up()
                yield state
        except Error as error:
            raise IndexUnavailable from error

    def check(self) -> None:
        try:
            _last_change()
        except Error as error:
            raise IndexUnavailable from error


class _Engine:
    """The matrices of one engine, and the id of the last change applied to them."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.applied: int | None = None
        self.matrices: dict[UUID, Matrix] = {}

    def catch_up(self) -> None:
        last = _last_change()
        if last == self.applied:
            return
        changes = OutboxEntry.objects.filter(topic=OutboxEntry.Topic.PERSON_CHANGED)
        if self.applied is None or last < self.applied:  # first use, or the database was restored
            self._rebuild()
        else:
            ids = set(changes.filter(id__gt=self.applied, id__lte=last).values_list("person_id", flat=True))
            # read after the changes: if entries after `applied` were pruned, some changes may be missing
            oldest = changes.aggregate(oldest=Min("id"))["oldest"]
            if oldest is None or oldest > self.applied:
                self._rebuild()
            else:
                self._refresh([person_id for person_id in ids if person_id is not None])
        self.applied = last

    def _rebuild(self) -> None:
        self.matrices = {}
        self._put(MeanTemplate.objects.all(), Person.objects.all())

    def _refresh(self, person_ids: list[UUID]) -> None:
        for start in range(0, len(person_ids), _CHUNK):
            chunk = person_ids[start : start + _CHUNK]
            for matrix in self.matrices.values():
                matrix.remove(chunk)
            self._put(MeanTemplate.objects.filter(person__in=chunk), Person.objects.filter(pk__in=chunk))

    def _put(self, means: QuerySet[MeanTemplate], people: QuerySet[Person]) -> None:
        engine_means = means.filter(engine=self.engine)
        # a query for the hidden people and one per collection take half the time of one join
        hidden_ids = set(people.exclude(status=Person.Status.ACTIVE).values_list("pk", flat=True))
        for collection_id in engine_means.order_by().values_list("collection", flat=True).distinct():
            rows = engine_means.filter(collection=collection_id).values_list("person_id", "vector")
            iterator = rows.iterator(chunk_size=_LOADED_AT_ONCE)
            while chunk := list(islice(iterator, _LOADED_AT_ONCE)):
                visible_rows = [row for row in chunk if row[0] not in hidden_ids]
                if visible_rows:
                    self._extend(collection_id, *zip(*visible_rows, strict=True))

    def _extend(self, collection_id: UUID, person_ids: Sequence[UUID], packed: Sequence[bytes]) -> None:
        vectors = unpack(b"".join(packed)).reshape(len(packed), -1)
        matrix = self.matrices.setdefault(collection_id, Matrix(vectors.shape[1]))
        new_size = len(matrix) + len(vectors)
        if len(matrix) <= LARGE_COLLECTION < new_size:
            logger.warning(
                "Collection %s has more than %s people: an in-memory search takes over 10 ms per face, and "
                "longer as the collection grows. Consider Pinecone: see TEMPLATE_INDEX in docs/settings.md.",
                collection_id, f"{LARGE_COLLECTION:,}",
            )  # fmt: skip
        matrix.extend(person_ids, vectors)


def _last_change() -> int:
    """Return the change log's last id, or 0.

    Raw SQL, because every search needs it and the ORM takes five times as long.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAST_CHANGE, [OutboxEntry.Topic.PERSON_CHANGED])
        (last,) = cursor.fetchone()
    return last or 0


class Matrix:
    """Unit vectors in steps of 1/127, one per person. Removing a vector moves the last one into the gap.

    Compared with float32, vectors take a quarter of the memory, so a search takes a quarter of the time.
    Cosines have an error of 0.003 (one standard deviation), so close candidates may swap places: callers
    request a few more than they need, and score them with the vectors in the database.
    Ids are stored contiguously as bytes too: without reference counts, forked processes share the memory.
    """

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        self._ids = bytearray()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def extend(self, person_ids: Sequence[UUID], vectors: Vectors) -> None:
        faiss.omp_set_num_threads(1)  # threads that OpenMP starts here would not exist after a fork
        self._index.add(_scaled(vectors))
        self._ids += b"".join(person_id.bytes for person_id in person_ids)

    def remove(self, person_ids: Sequence[UUID]) -> None:
        """Remove the people; ids that aren't in the matrix are ignored."""
        removed_ids = np.frombuffer(b"".join(person_id.bytes for person_id in person_ids), _ID)
        ids = np.frombuffer(self._ids, _ID)
        positions = np.flatnonzero(np.isin(ids["high"], removed_ids["high"]))
        positions = positions[np.isin(ids["low"][positions], removed_ids["low"])]
        for position in map(int, reversed(positions)):
            self._remove_row(position, ids)
        kept_count = len(ids) - len(positions)
        del ids  # while this view exists, the ids can't be shortened
        del self._ids[kept_count * _ID.itemsize :]

    def _remove_row(self, position: int, ids: NDArray[Any]) -> None:
        rows = self._rows()
        last = len(rows) - 1
        ids[position], rows[position] = ids[last], rows[last]
        rows[last] = 0  # so that no copy of an erased vector stays in memory
        self._index.codes.resize(rows[:last].size)
        self._index.ntotal = last

    def nearest(self, probes: Vectors, limit: int, *, threads: int) -> list[list[UUID]]:
        """Return up to `limit` person ids for each of the (n, d) unit probes, nearest first."""
        if not len(self) or not len(probes):
            return [[] for _ in probes]
        faiss.omp_set_num_threads(threads)  # OpenMP stores the number for each calling thread
        _, positions = self._index.search(_scaled(probes), min(limit, len(self)))
        return [[self._id(int(position)) for position in row if position >= 0] for row in positions]

    def _id(self, position: int) -> UUID:
        start = position * _ID.itemsize
        return UUID(bytes=bytes(self._ids[start : start + _ID.itemsize]))

    def _rows(self) -> NDArray[np.uint8]:
        """Return a view of the index's memory, one row per person."""
        size = self._index.code_size
        codes = faiss.rev_swig_ptr(self._index.codes.data(), self._index.ntotal * size)
        return np.asarray(codes).reshape(-1, size)


def _scaled(vectors: Vectors) -> Vectors:
    """Return the vectors in the steps of a signed byte, rounded: faiss would truncate them."""
    return np.rint(vectors * SCALE)
