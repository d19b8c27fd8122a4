"""Keep what a remote index holds as the database is: send, see it arrive, purge, compare, repair.

The database is the truth. A mean template's `vector_id` stands for one vector for ever, so sending
twice does no harm, and nothing that was replaced or erased can come back under a living id.
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
"""Before a vector counts as seen everywhere: the other side's copies are not equally fast."""
RESEND = timedelta(seconds=15)
"""What is not seen by then is sent again."""
BATCH = 500
SEND_BATCH = 100
"""Sent at a time: one request, whatever the vectors' length up to 700, so that LATE_WRITE covers it."""


def sync() -> int:
    """Send a batch of what the index lacks, and check what arrived; return how many vectors were sent.

    Raises IndexUnavailable; what is not confirmed is tried again.
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
    chosen = waiting.filter(collection=space.collection_id, engine=space.engine).order_by("pk")
    ids = list(chosen.values_list("vector_id", flat=True)[:SEND_BATCH])
    # Noted before it is sent. Who deletes a mean sees by it that a purge is needed; and what was
    # deleted before this line is not sent.
    mine = MeanTemplate.objects.filter(vector_id__in=ids, indexed_at=None)
    mine.update(sent_at=now, sent_position=None)
    vectors = {pk: unpack(vector) for pk, vector in mine.values_list("vector_id", "vector")}
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
        seen: list[UUID] = []
        reached = -1
        for mean in means:
            if mean.vector_id not in held:
                continue
            position = mean.sent_position
            # one search tells of all writes up to its position
            if position is None or position > reached:
                if not index.searchable(space, mean.vector_id, unpack(mean.vector), position):
                    break  # searches are behind: the next round asks again
                reached = reached if position is None else position
            seen.append(mean.vector_id)
        MeanTemplate.objects.filter(vector_id__in=seen).update(indexed_at=now)


def purge(entries: Sequence[OutboxEntry]) -> set[int]:
    """Delete the entries' vectors from the index; return the ids of the entries that are verified gone.

    Verified means that a lookup no longer finds the vector after the last moment at which a late write
    could have restored it. Raises IndexUnavailable.
    """
    index = remote_index()
    if index is None:
        raise IndexUnavailable(
            "Vectors are to be deleted from a remote index that is not configured any more. Set "
            "TEMPLATE_INDEX back until they are gone."
        )
    by_space: dict[Space, list[OutboxEntry]] = defaultdict(list)
    for entry in entries:
        if entry.collection_id is not None and entry.vector_id is not None:
            by_space[Space(entry.collection_id, entry.engine)].append(entry)
    gone: set[int] = set()
    for space, own in by_space.items():
        ids = [entry.vector_id for entry in own if entry.vector_id is not None]
        index.remove(space, ids)
        held = index.held(space, ids)
        now = timezone.now()
        for entry in own:
            settled = entry.settled_at is None or entry.settled_at <= now
            if settled and entry.vector_id not in held:
                gone.add(entry.pk)
    return gone


@dataclass(slots=True)
class Comparison:
    """How a remote index differs from the database. Counts of vectors."""

    kept: int = 0
    waiting: int = 0
    """Not confirmed yet, or being purged: no drift, but work in hand."""
    missing: int = 0
    """The database has them and believes that the index has them, too."""
    extra: int = 0
    """The index has them, and nothing says that they are to be purged."""

    @property
    def drift(self) -> int:
        return self.missing + self.extra


def report_drift() -> None:
    """Compare the remote index with the database, and log a difference as an error, for the alarm."""
    comparison = compare()
    if comparison.drift:
        logger.error(
            "The index has drifted: %s missing, %s extra. Run manage.py audit_index --repair.",
            comparison.missing,
            comparison.extra,
        )


def compare() -> Comparison:
    """Compare the remote index with the database.

    Nothing is compared when the index reads the database itself. Raises IndexUnavailable.
    """
    return _compare(repair=False)


def repair(*, actor: Actor) -> Comparison:
    """Compare the remote index with the database, and have the difference repaired by the next syncs.

    What is missing is sent again, and what nothing in the database stands for is purged.
    Raises IndexUnavailable.
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
    # In this order: what is confirmed after this line can't be taken for missing.
    expected = set(means.exclude(indexed_at=None).values_list("vector_id", flat=True))
    there: set[UUID] = set(index.listed(space))
    known = dict(means.values_list("vector_id", "indexed_at"))
    purging = set(
        OutboxEntry.objects.filter(
            topic=OutboxEntry.Topic.PURGE_VECTOR, collection_id=space.collection_id, engine=space.engine
        )
        .filter(Q(done_at=None) | Q(done_at__gte=timezone.now() - SETTLE))
        .values_list("vector_id", flat=True)
    )
    missing = {pk for pk in expected - there if known.get(pk) is not None}
    if missing:  # a listing may be behind, too: a lookup has the last word
        missing -= index.held(space, sorted(missing))
    extra = there - set(known) - purging
    if extra:  # replaced or erased while the listing was read?
        extra &= index.held(space, sorted(extra))
    total.kept += len(there & set(known))
    total.waiting += sum(at is None for at in known.values()) + len(purging & there)
    total.missing += len(missing)
    total.extra += len(extra)
    if not repair:
        return
    for chunk in _chunks(missing):
        means.filter(vector_id__in=chunk).update(sent_at=None, sent_position=None, indexed_at=None)
    if extra and not Collection.objects.filter(pk=space.collection_id).exists():
        index.drop(space)
    for vector_id in extra:
        outbox.purge_vector(
            vector_id,
            collection_id=space.collection_id,
            engine=space.engine,
            settled_at=timezone.now() + LATE_WRITE,
        )


def _chunks(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    left = iter(ids)
    while chunk := list(islice(left, BATCH)):
        yield chunk
