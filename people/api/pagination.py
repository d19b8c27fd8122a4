"""Keyset pagination: each row is on exactly one page, whatever the ordering."""

from __future__ import annotations

import json
from typing import Any, cast

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import F, Field, Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.settings import api_settings


class KeysetPagination(CursorPagination):
    """Pages ordered by one column and the primary key; rows without a value in the column come last.

    The view's `get_page_ordering` returns the column, such as "-created_at". REST framework's own cursor
    holds the column's value and an offset: it loses rows without a value, and repeats rows when more than
    a thousand share one. This one holds the value and the primary key of the row at the page's edge.
    A page takes one or two index ranges, however many rows there are.
    """

    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.base_url = request.build_absolute_uri()
        self._column_order: str = view.get_page_ordering()
        self._model: type[Model] = queryset.model
        size = int(self.get_page_size(request) or api_settings.PAGE_SIZE or 50)
        cursor = self._cursor(request)
        backward = cursor is not None and cursor.reverse
        rows = self._rows(queryset, cursor, size + 1)
        has_more = len(rows) > size
        self.page: list[Any] = rows[:size]
        if backward:
            self.page.reverse()
        self.has_previous = has_more if backward else cursor is not None
        self.has_next = cursor is not None if backward else has_more
        return self.page

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], reverse=False) if self.has_next and self.page else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], reverse=True) if self.has_previous and self.page else None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        def link(which: str) -> dict[str, Any]:
            return {
                "type": ["string", "null"],
                "format": "uri",
                "description": f"URL of the {which} page, or null if there is none. You can also send its "
                "parameter `cursor` in other requests for this list with the same ordering.",
            }

        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link("next"), "previous": link("previous"), "results": schema},
        }

    @property
    def _column(self) -> str:
        return self._column_order.removeprefix("-")

    def _field(self, name: str) -> Field[Any, Any]:
        return cast("Field[Any, Any]", self._model._meta.get_field(name))

    def _rows(self, queryset: QuerySet[Any], cursor: Cursor | None, limit: int) -> list[Any]:
        """Return up to `limit` rows beyond the cursor, nearest to it first."""
        backward = cursor is not None and cursor.reverse
        descending = self._column_order.startswith("-") != backward
        rows: list[Any] = []
        for condition in self._ranges(cursor, backward, "lt" if descending else "gt"):
            if len(rows) < limit:
                order = [F(name).desc() if descending else F(name).asc() for name in (self._column, "pk")]
                rows += queryset.filter(condition).order_by(*order)[: limit - len(rows)]
        return rows

    def _ranges(self, cursor: Cursor | None, backward: bool, beyond: str) -> list[Q]:
        """Return the conditions of the rows beyond the cursor: with a value in the column, and without."""
        column = self._column
        nullable = self._field(column).null
        conditions = {
            False: Q(**{f"{column}__isnull": False}) if nullable else Q(),
            True: Q(**{f"{column}__isnull": True}),
        }
        segments = [False, True] if nullable else [False]
        if backward:
            segments.reverse()
        if cursor is not None:
            value, key = self._position(cursor)
            beyond_key = Q(**{f"pk__{beyond}": key})
            if value is None:
                conditions[True] &= beyond_key
            else:
                # The first condition gives the database one range of the index.
                at_or_beyond = Q(**{f"{column}__{beyond}e": value})
                conditions[False] &= at_or_beyond & (Q(**{f"{column}__{beyond}": value}) | beyond_key)
            segments = segments[segments.index(value is None) :]
        return [conditions[without_value] for without_value in segments]

    def _link(self, row: Any, *, reverse: bool) -> str:
        position = [self._column_order, *(self._text(row, name) for name in (self._column, "pk"))]
        text: Any = json.dumps(position)  # the stubs say that a position is a number
        return str(self.encode_cursor(Cursor(0, reverse, text)))

    def _text(self, row: Any, name: str) -> str | None:
        if getattr(row, name) is None:
            return None
        field = row._meta.pk if name == "pk" else self._field(name)
        return str(field.value_to_string(row))

    def _cursor(self, request: Request) -> Cursor | None:
        if self.cursor_query_param not in request.query_params:
            return None
        try:
            cursor: Cursor | None = self.decode_cursor(request)
            if cursor is not None:
                self._position(cursor)
        except Exception as error:
            # REST framework's NotFound for an invalid cursor, and any error that a forged one causes
            raise self._invalid() from error
        return cursor

    def _position(self, cursor: Cursor) -> tuple[Any, Any]:
        """Return the column's value and the primary key of the row that the cursor names."""
        column_order, value, key = json.loads(str(cursor.position))
        if column_order != self._column_order or not isinstance(key, str):
            raise self._invalid()
        try:
            pk_field: Any = self._model._meta.pk
            field = self._field(self._column)
            if value is None and not field.null:
                raise self._invalid()
            if value is not None:
                if "\0" in value.encode().decode():  # NUL and lone surrogates are never stored
                    raise self._invalid()
                value = field.to_python(value)
            return value, pk_field.to_python(key)
        except (ModelValidationError, AttributeError, TypeError, ValueError) as error:
            raise self._invalid() from error

    def _invalid(self) -> serializers.ValidationError:
        return serializers.ValidationError(
            {
                "cursor": [
                    "This cursor belongs to another list or ordering. Use the URL in `next` or `previous`."
                ]
            }
        )
