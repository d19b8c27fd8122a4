from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class NewestFirst(CursorPagination):
    """Pages that neither repeat nor miss anything while rows come and go."""

    ordering: tuple[str, ...] = ("-created_at", "-id")
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return a page of rows. Raises REST framework's ValidationError when the cursor is none of ours."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, ValidationError, ValueError, OverflowError, DataError) as error:
            # what the ordering's field or the database says of a position that it can't compare with
            if self.cursor_query_param not in request.query_params:
                raise
            message = "Use the address in `next` or `previous` of a page as it is."
            raise exceptions.ValidationError({self.cursor_query_param: [message]}) from error
