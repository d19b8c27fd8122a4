"""Which people a search may return, and how many people it searches.

Every search looks up the first, so that query is raw SQL: the ORM takes longer to compose the statement than
the database takes to execute it.
"""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.utils import timezone

from people.faces import Vectors
from people.models import Collection, MeanTemplate, Person
from people.models.template import unpack

CACHED_FROM = 10_000
"""People. A larger count is cached for CACHED_SECONDS: counting that many takes as long as the search, and a
few people more or less hardly change the threshold."""
CACHED_SECONDS = 5.0
_counts: dict[tuple[UUID, str], tuple[int, float]] = {}
_MEANS = (
    f"SELECT mean.person_id, person.collection_id, mean.vector "  # noqa: S608 table names, no user input
    f"FROM {MeanTemplate._meta.db_table} mean "
    f"JOIN {Person._meta.db_table} person ON person.id = mean.person_id "
    "WHERE mean.engine = %s AND person.status = %s"
)
_CONSENTED = (
    " AND person.consent_given_at <= %s"
    " AND (person.consent_expires_at IS NULL OR person.consent_expires_at > %s)"
)
_UUID = models.UUIDField()


def searchable_means(person_ids: Several[UUID], collection: Collection, engine: str) -> dict[UUID, Vectors]:
    """Return the mean templates, (d,) float32, of the given people, without those a search may not return.

    A search may return the collection's active people; if it requires consent, only those with valid consent.
    """
    if not person_ids:
        return {}
    statement = _MEANS
    values: list[Any] = [engine, Person.Status.ACTIVE]
    if collection.requires_consent:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        statement += _CONSENTED
        values += [now, now]
    # filtered by ids only: with the collection in the condition, SQLite reads all of the collection's people
    statement += f" AND mean.person_id IN ({', '.join(['%s'] * len(person_ids))})"
    values += [_UUID.get_db_prep_value(person_id, connection) for person_id in person_ids]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    return {
        _as_uuid(person_id): unpack(vector)
        for person_id, collection_id, vector in rows
        if _as_uuid(collection_id) == collection.pk
    }


def enrolled(collection_id: UUID, engine: str) -> int:
    """Return how many people in the collection have a template of this engine.

    The count may be up to CACHED_SECONDS old.
    """
    key, now = (collection_id, engine), time.monotonic()
    if key in _counts and now <= _counts[key][1] + CACHED_SECONDS:
        return _counts[key][0]
    count = MeanTemplate.objects.filter(collection=collection_id, engine=engine).count()
    if count > CACHED_FROM:
        _counts[key] = count, now
    return count


def _as_uuid(value: str | UUID) -> UUID:
    return value if isinstance(value, UUID) else UUID(hex=value)
