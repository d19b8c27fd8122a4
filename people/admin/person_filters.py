"""Filters of the list of people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from people.models import Person, Photo


class StatusFilter(admin.SimpleListFilter):
    """Without a choice, each human is listed once: merged records are left out."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Person.Status.choices)

    def choices(self, changelist: Any) -> Iterator[Any]:
        everyone, *others = super().choices(changelist)
        yield {**everyone, "display": "All but merged"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value()
        return queryset.filter(status=wanted) if wanted else queryset.not_merged()


class PhotosFilter(admin.SimpleListFilter):
    title = parameter_name = "photos"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("none", "none accepted"),
            ("warned", "accepted with a warning"),
            (Photo.Status.REJECTED, "rejected"),
            (Photo.Status.PENDING, "pending"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Person]) -> QuerySet[Person]:
        own = Photo.objects.filter(person=OuterRef("pk"))
        wanted = self.value()
        if wanted == "none":
            return queryset.exclude(Exists(own.filter(status=Photo.Status.ACCEPTED)))
        if wanted == "warned":
            return queryset.filter(Exists(own.exclude(warnings=[])))
        return queryset.filter(Exists(own.filter(status=wanted))) if wanted else queryset
