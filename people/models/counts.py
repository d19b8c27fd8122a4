"""How many people a collection has and how many photos a person has, as annotations of a query."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from people.models.person import Person
from people.models.photo import Photo


def person_count() -> Coalesce:
    """Return the number of a collection's people, each human once. Annotates a query of collections."""
    return row_count(Person.objects.not_merged(), "collection")


def photo_count(status: Photo.Status) -> Coalesce:
    """Return the number of a person's photos with this status. Annotates a query of people."""
    return row_count(Photo.objects.filter(status=status), "person")


def row_count(rows: QuerySet[Any], field: str) -> Coalesce:
    """Return how many of `rows` have the primary key of the annotated row in `field`.

    It is a subquery, so that the database counts only for the rows of the current page.
    """
    related = rows.filter(**{field: OuterRef("pk")}).order_by().values(field)
    counts = related.annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)
