"""Rows that only an act may delete, since more than the row must go: files, vectors, index entries."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models

_Row = TypeVar("_Row", bound=models.Model)


class GuardedQuerySet(models.QuerySet[_Row]):
    def delete(self) -> NoReturn:
        raise TypeError(f"{self.model.__name__} rows are deleted by people.erasure or people.enrolment only.")


class GuardedModel(models.Model):
    """Base of rows whose deletion by any other door than its act fails loudly."""

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} rows are deleted by people.erasure or people.enrolment only.")


def delete_rows(rows: models.QuerySet[_Row]) -> int:
    """Delete guarded rows and return how many; for the acts in people.erasure and people.enrolment."""
    unguarded: models.QuerySet[_Row] = models.QuerySet(rows.model, query=rows.query, using=rows.db)
    return unguarded.delete()[0]
