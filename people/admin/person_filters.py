"""Filters of the list of people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from people.models import Person, Photo


class StatusFilter(admin.SimpleListFilter):
    """By default, merged records are left out, so that each human is listed once."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Person.Status.choices)

    def choices(self, changelist: Any) -> Iterator[Any]:
        default_choice, *status_choices = super().choices(changelist)
        yield {**default_choice, "display": "All but merged"}
        yield from status_choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        return queryset.filter(status=status) if status else queryset.not_merged()


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
        photos = Photo.objects.filter(person=OuterRef("pk"))
        choice = self.value()
        if choice == "none":
            return queryset.exclude(Exists(photos.filter(status=Photo.Status.ACCEPTED)))
        if choice == "warned":
            return queryset.filter(Exists(photos.exclude(warnings=[])))
        return queryset.filter(Exists(photos.filter(status=choice))) if choice else queryset
