"""Keep a remote index in line with the database: send, confirm and purge vectors; compare and repair.

The database is the source of truth. A mean template's `vector_id` identifies one vector and is never
reused. So sending a vector twice is harmless, and a replaced or erased vector can't reappear under an id
that is in use.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from people import audit, outbox
from people.actors import Actor
from people.errors import IndexUnavailable
from people.indexes import remote_index
from people.indexes.base import LATE_WRITE, RemoteIndex, Space
from people.models import Collection, MeanTemplate, OutboxEntry
from people.models.template import unpack

logger = logging.getLogger(__name__)
SETTLE = timedelta(seconds=10)
"""Time before a sent vector can be confirmed: the index's replicas don't all update at the same speed."""
RESEND = timedelta(seconds=15)
"""A vector that isn't confirmed this long after it was sent is sent again."""
BATCH = 500
"""Vectors confirmed per sync, or marked for sending again per statement."""
SEND_BATCH = 100
"""Vectors per send. With up to 700 dimensions they fit into one request, so LATE_WRITE covers the send."""


def sync() -> int:
    """Confirm vectors sent earlier, and send a batch of unsent vectors; return how many were sent.

    Vectors that stay unconfirmed for RESEND are sent again. Raises IndexUnavailable.
    """
    index = remote_index()
    if index is None:
        return 0
    _confirm(index)
    return _send_waiting(index)


def _send_waiting(index: RemoteIndex) -> int:
    now = timezone.now()
    waiting = MeanTemplate.objects.filter(Q(sent_at=None) | Q(sent_at__lt=now - RESEND), indexed_at=None)
    first = waiting.order_by("pk").first()
    if first is None:
        return 0
    space = Space(first.collection_id, first.engine)
    batch = waiting.filter(collection=space.collection_id, engine=space.engine).order_by("pk")
    ids = list(batch.values_list("vector_id", flat=True)[:SEND_BATCH])
    # Record sent_at before sending, so that a later deletion requests a purge. Means that were deleted
    # before this point are not sent.
    marked = MeanTemplate.objects.filter(vector_id__in=ids, indexed_at=None)
    marked.update(sent_at=now, sent_position=None)
    vectors = {pk: unpack(vector) for pk, vector in marked.values_list("vector_id", "vector")}
    if vectors:
        position = index.send(space, vectors)
        MeanTemplate.objects.filter(vector_id__in=vectors, sent_at=now).update(sent_position=position)
    return len(ids)


def _confirm(index: RemoteIndex) -> None:
    now = timezone.now()
    sent = MeanTemplate.objects.filter(indexed_at=None, sent_at__lt=now - SETTLE)
    by_space: dict[Space, list[MeanTemplate]] = defaultdict(list)
    for mean in sent.order_by("-sent_position", "sent_at")[:BATCH]:
        by_space[Space(mean.collection_id, mean.engine)].append(mean)
    for space, means in by_space.items():
        held = index.held(space, [mean.vector_id for mean in means])
        confirmed_ids: list[UUID] = []
        searchable_up_to = -1
        for mean in means:
            if mean.vector_id not in held:
                continue
            position = mean.sent_position
            # one search confirms all writes up to its position
            if position is None or position > searchable_up_to:
                if not index.searchable(space, mean.vector_id, unpack(mean.vector), position):
                    break  # searches don't include it yet: the next sync checks again
                searchable_up_to = searchable_up_to if position is None else position
            confirmed_ids.append(mean.vector_id)
        MeanTemplate.objects.filter(vector_id__in=confirmed_ids).update(indexed_at=now)


def purge(entries: Sequence[OutboxEntry]) -> set[int]:
    """Delete the entries' vectors from the index; return the ids of the entries whose purge is verified.

    A purge is verified when a lookup no longer returns the vector, and no late write can restore it any
    more. Raises IndexUnavailable.
    """
    index = remote_index()
    if index is None:
        raise IndexUnavailable(
            "Vectors must be purged from a remote index that is no longer configured. Set TEMPLATE_INDEX "
            "back to that index until the purge is complete."
        )
    by_space: dict[Space, list[OutboxEntry]] = defaultdict(list)
    for entry in entries:
        if entry.collection_id is not None and entry.vector_id is not None:
            by_space[Space(entry.collection_id, entry.engine)].append(entry)
    purged_ids: set[int] = set()
    for space, space_entries in by_space.items():
        ids = [entry.vector_id for entry in space_entries if entry.vector_id is not None]
        index.remove(space, ids)
        held = index.held(space, ids)
        now = timezone.now()
        for entry in space_entries:
            settled = entry.settled_at is None or entry.settled_at <= now
            if settled and entry.vector_id not in held:
                purged_ids.add(entry.pk)
    return purged_ids


@dataclass(slots=True)
class Comparison:
    """How a remote index differs from the database, in numbers of vectors."""

    kept: int = 0
    waiting: int = 0
    """Vectors not confirmed yet, or being purged: work in progress, not drift."""
    missing: int = 0
    """Vectors confirmed according to the database, but not in the index."""
    extra: int = 0
    """Vectors in the index, but neither in the database nor being purged."""

    @property
    def drift(self) -> int:
        return self.missing + self.extra


def report_drift() -> None:
    """Compare the remote index with the database. Any difference is logged as an error, for the alarm."""
    comparison = compare()
    if comparison.drift:
        logger.error(
            "The index differs from the database: %s missing, %s extra. Run manage.py audit_index --repair.",
            comparison.missing,
            comparison.extra,
        )


def compare() -> Comparison:
    """Compare the remote index with the database.

    With the in-memory index, which reads the database itself, all counts are zero. Raises IndexUnavailable.
    """
    return _compare(repair=False)


def repair(*, actor: Actor) -> Comparison:
    """Compare the remote index with the database, and schedule the repair of any difference.

    The next syncs send missing vectors again, and the outbox purges extra ones. Raises IndexUnavailable.
    """
    comparison = _compare(repair=True)
    if comparison.drift:
        details = {"missing": comparison.missing, "extra": comparison.extra}
        audit.record("index.repaired", actor=actor, details=details)
    return comparison


def _compare(*, repair: bool) -> Comparison:
    total = Comparison()
    index = remote_index()
    if index is None:
        return total
    spaces = {
        Space(collection_id, engine)
        for collection_id, engine in MeanTemplate.objects.values_list("collection", "engine").distinct()
    }
    for space in spaces | set(index.spaces()):
        _compare_space(index, space, total, repair=repair)
    return total


def _compare_space(index: RemoteIndex, space: Space, total: Comparison, *, repair: bool) -> None:
    means = MeanTemplate.objects.filter(collection=space.collection_id, engine=space.engine)
    # Read first, so that a vector confirmed during the comparison doesn't count as missing.
    expected = set(means.exclude(indexed_at=None).values_list("vector_id", flat=True))
    listed: set[UUID] = set(index.listed(space))
    indexed_at = dict(means.values_list("vector_id", "indexed_at"))
    purging = set(
        OutboxEntry.objects.filter(
            topic=OutboxEntry.Topic.PURGE_VECTOR, collection_id=space.collection_id, engine=space.engine
        )
        .filter(Q(done_at=None) | Q(done_at__gte=timezone.now() - SETTLE))
        .values_list("vector_id", flat=True)
    )
    missing = {pk for pk in expected - listed if indexed_at.get(pk) is not None}
    if missing:  # the listing may be out of date: only a lookup is conclusive
        missing -= index.held(space, sorted(missing))
    extra = listed - set(indexed_at) - purging
    if extra:  # some may have been replaced or erased, and purged, since the listing was read
        extra &= index.held(space, sorted(extra))
    total.kept += len(listed & set(indexed_at))
    total.waiting += sum(at is None for at in indexed_at.values()) + len(purging & listed)
    total.missing += len(missing)
    total.extra += len(extra)
    if not repair:
        return
    for chunk in _chunks(missing):
        means.filter(vector_id__in=chunk).update(sent_at=None, sent_position=None, indexed_at=None)
    if extra and not Collection.objects.filter(pk=space.collection_id).exists():
        index.drop(space)
    for vector_id in extra:
        outbox.request_vector_purge(
            vector_id,
            collection_id=space.collection_id,
            engine=space.engine,
            settled_at=timezone.now() + LATE_WRITE,
        )


def _chunks(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    iterator = iter(ids)
    while chunk := list(islice(iterator, BATCH)):
        yield chunk
