"""How many people a search goes through, which its threshold depends on."""

from __future__ import annotations

import time
from uuid import UUID

from people.models import MeanTemplate

COUNTED_ANEW = 10_000
"""Above so many people a count is remembered for KEPT_SECONDS: counting takes as long as a search by
then, and a few people more or less move no threshold."""
KEPT_SECONDS = 5.0
_counts: dict[tuple[UUID, str], tuple[int, float]] = {}


def enrolled(collection_id: UUID, engine: str) -> int:
    """Return how many people of the collection have a template of this engine."""
    key, now = (collection_id, engine), time.monotonic()
    if key in _counts and now <= _counts[key][1] + KEPT_SECONDS:
        return _counts[key][0]
    count = MeanTemplate.objects.filter(collection=collection_id, engine=engine).count()
    if count > COUNTED_ANEW:
        _counts[key] = count, now
    return count
