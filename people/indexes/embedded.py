"""Exact search in this process's memory, kept current by the change log."""

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

STEPS = 127
"""What the number 1 becomes: a signed byte goes from -128 to 127."""
COMFORTABLE = 1_000_000
"""People in one collection. Above this, a warning in the log recommends Pinecone."""
_CHUNK = 500
_LOADED_AT_ONCE = 5000
_LAST_CHANGE = f"SELECT MAX(id) FROM {OutboxEntry._meta.db_table} WHERE topic = %s"  # noqa: S608 no input
_ID = np.dtype([("high", "<u8"), ("low", "<u8")])
logger = logging.getLogger(__name__)


class EmbeddedIndex:
    """One matrix of mean templates for each collection and engine.

    Each search first reads the last id of the change log and applies any new changes. The check takes
    microseconds, and no search uses an older state than the database had when the search began.
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
    """The matrices of one engine, and how far they have followed the change log."""

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
            # asked for after the changes were read: what was pruned by then may be missing among them
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
        own = means.filter(engine=self.engine)
        # asked for apart, and a collection at a time: half the time of a join that tells all three
        hidden = set(people.exclude(status=Person.Status.ACTIVE).values_list("pk", flat=True))
        for collection_id in own.order_by().values_list("collection", flat=True).distinct():
            rows = own.filter(collection=collection_id).values_list("person_id", "vector")
            found = rows.iterator(chunk_size=_LOADED_AT_ONCE)
            while some := list(islice(found, _LOADED_AT_ONCE)):
                shown = [row for row in some if row[0] not in hidden]
                if shown:
                    self._extend(collection_id, *zip(*shown, strict=True))

    def _extend(self, collection_id: UUID, person_ids: Sequence[UUID], packed: Sequence[bytes]) -> None:
        vectors = unpack(b"".join(packed)).reshape(len(packed), -1)
        matrix = self.matrices.setdefault(collection_id, Matrix(vectors.shape[1]))
        grown = len(matrix) + len(vectors)
        if len(matrix) <= COMFORTABLE < grown:
            logger.warning(
                "Collection %s has more than %s people: an in-memory search takes over 10 ms per "
                "face, and more as it grows. Consider Pinecone: see TEMPLATE_INDEX in docs/settings.md.",
                collection_id, f"{COMFORTABLE:,}",
            )  # fmt: skip
        matrix.extend(person_ids, vectors)


def _last_change() -> int:
    """Return the change log's last id. Raw SQL, as every search asks it: a fifth of the ORM's time."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_CHANGE, [OutboxEntry.Topic.PERSON_CHANGED])
        (last,) = cursor.fetchone()
    return last or 0


class Matrix:
    """Unit vectors in steps of 1/127, one per person; removal moves the last one into the gap.

    Reading a quarter of the memory takes a quarter of the time. Cosines have an error of 0.003
    (one standard deviation), so close candidates may swap places; callers ask for a few more than they
    need, and score them with the database's own vectors.
    Ids are also stored contiguously, as bytes: forked processes share memory without reference counts.
    """

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        self._ids = bytearray()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def extend(self, person_ids: Sequence[UUID], vectors: Vectors) -> None:
        faiss.omp_set_num_threads(1)  # threads of OpenMP don't outlive a fork
        self._index.add(_in_steps(vectors))
        self._ids += b"".join(person_id.bytes for person_id in person_ids)

    def remove(self, person_ids: Sequence[UUID]) -> None:
        """Remove the people; ids that aren't in the matrix are ignored."""
        wanted = np.frombuffer(b"".join(person_id.bytes for person_id in person_ids), _ID)
        there = np.frombuffer(self._ids, _ID)
        gaps = np.flatnonzero(np.isin(there["high"], wanted["high"]))
        gaps = gaps[np.isin(there["low"][gaps], wanted["low"])]
        for gap in map(int, reversed(gaps)):
            self._take_out(gap, there)
        kept = len(there) - len(gaps)
        del there  # it would keep the ids from shrinking
        del self._ids[kept * _ID.itemsize :]

    def _take_out(self, gap: int, ids: NDArray[Any]) -> None:
        rows = self._rows()
        last = len(rows) - 1
        ids[gap], rows[gap] = ids[last], rows[last]
        rows[last] = 0  # an erased face leaves no copy in memory
        self._index.codes.resize(rows[:last].size)
        self._index.ntotal = last

    def nearest(self, probes: Vectors, limit: int, *, threads: int) -> list[list[UUID]]:
        if not len(self) or not len(probes):
            return [[] for _ in probes]
        faiss.omp_set_num_threads(threads)  # OpenMP keeps it for each calling thread
        _, positions = self._index.search(_in_steps(probes), min(limit, len(self)))
        return [[self._id(int(position)) for position in row if position >= 0] for row in positions]

    def _id(self, position: int) -> UUID:
        start = position * _ID.itemsize
        return UUID(bytes=bytes(self._ids[start : start + _ID.itemsize]))

    def _rows(self) -> NDArray[np.uint8]:
        """Return the index's own memory, one row per person."""
        size = self._index.code_size
        codes = faiss.rev_swig_ptr(self._index.codes.data(), self._index.ntotal * size)
        return np.asarray(codes).reshape(-1, size)


def _in_steps(vectors: Vectors) -> Vectors:
    """Return what faiss takes for signed bytes: it cuts off what it doesn't keep."""
    return np.rint(vectors * STEPS)
