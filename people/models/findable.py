"""Whom a search may return: the one question that every search asks about people, so asked by hand.

After a network has run, the ORM takes longer to write the statement than the database to answer it.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.utils import timezone
from numpy import float32
from numpy.typing import NDArray

from people.models.collection import Collection
from people.models.person import Person
from people.models.template import MeanTemplate, unpack

_MEANS = (  # names of our own tables, and no input
    f"SELECT mean.person_id, person.collection_id, mean.vector "  # noqa: S608
    f"FROM {MeanTemplate._meta.db_table} mean "
    f"JOIN {Person._meta.db_table} person ON person.id = mean.person_id "
    "WHERE mean.engine = %s AND person.status = %s"
)
_CONSENTED = (
    " AND person.consent_given_at <= %s"
    " AND (person.consent_expires_at IS NULL OR person.consent_expires_at > %s)"
)
_UUID = models.UUIDField()


def findable_means(
    person_ids: Several[UUID], collection: Collection, engine: str
) -> dict[UUID, NDArray[float32]]:
    """Return the mean templates, (d,) float32, of those of the people whom a search may return.

    Active ones of the collection, and with consent where it requires consent.
    """
    if not person_ids:
        return {}
    statement = _MEANS
    values: list[Any] = [engine, Person.Status.ACTIVE]
    if collection.requires_consent:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        statement += _CONSENTED
        values += [now, now]
    # by ids alone: told the collection too, SQLite goes through all of its people
    statement += f" AND mean.person_id IN ({', '.join(['%s'] * len(person_ids))})"
    values += [_UUID.get_db_prep_value(pk, connection) for pk in person_ids]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    found = ((_uuid(pk), _uuid(home), vector) for pk, home, vector in rows)
    return {pk: unpack(vector) for pk, home, vector in found if home == collection.pk}


def _uuid(value: str | UUID) -> UUID:
    return value if isinstance(value, UUID) else UUID(hex=value)
