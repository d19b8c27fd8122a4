"""Rows that only certain operations may delete, because files, vectors and index entries go with them."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models

_Row = TypeVar("_Row", bound=models.Model)


class GuardedQuerySet(models.QuerySet[_Row]):
    def delete(self) -> NoReturn:
        raise TypeError(
            f"{self.model.__name__} rows are deleted only by people.erasure and people.enrolment."
        )


class GuardedModel(models.Model):
    """Base of models whose rows can't be deleted directly: any attempt raises TypeError."""

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} rows are deleted only by people.erasure and people.enrolment."
        )


def delete_rows(rows: models.QuerySet[_Row]) -> int:
    """Delete guarded rows and return how many. Only for people.erasure and people.enrolment."""
    unguarded: models.QuerySet[_Row] = models.QuerySet(rows.model, query=rows.query, using=rows.db)
    return unguarded.delete()[0]
