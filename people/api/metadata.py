"""The response to OPTIONS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request

if TYPE_CHECKING:
    # REST framework's views load this module
    from rest_framework.views import APIView


class AllowedMethods(BaseMetadata):
    """The path's methods, as in the `Allow` header. REST framework's own response would add docstrings."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return {"methods": view.allowed_methods}
