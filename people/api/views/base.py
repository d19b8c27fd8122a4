"""Base classes of the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.http import Http404, HttpRequest
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from people import capacity
from people.actors import Actor
from people.api import authentication
from people.api.requests.queries import NoQuery, QuerySerializer
from people.models import ApiKey, Collection, Person

DRAIN_CHUNK_BYTES = 65_536
_Row = TypeVar("_Row", bound=models.Model)


class ApiView(GenericAPIView[Any]):
    """Base class of the API's views. `scopes` names the scopes that each method needs."""

    tag: ClassVar[str]
    """The OpenAPI document's group of operations."""
    scopes: ClassVar[Mapping[str, Sequence[str]]] = {}
    processes_photos: ClassVar[bool] = False
    """Whether each request takes a slot of `people.capacity`. If none is free, the request is refused before
    any other work."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if self.processes_photos:
            capacity.probe_capacity.check()
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        if isinstance(request.auth, ApiKey):
            holder: Any = request._request
            holder.key_prefix = request.auth.prefix  # for the access log

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        _drain(request._request)
        if window := getattr(request._request, "rate_window", None):
            for name, value in window.headers().items():
                response[name] = value
        # responses contain personal data, so no cache may store them
        response["Cache-Control"] = "no-store"
        return response

    @property
    def actor(self) -> Actor:
        return authentication.actor(self.request)

    def only_collection(self) -> UUID | None:
        """Return the id of the collection that the API key is bound to, or None if it isn't bound to one."""
        key = self.request.auth
        return key.collection_id if isinstance(key, ApiKey) else None

    def collection(self) -> Collection:
        """Return the collection in the path. Raises Http404, also if the API key is bound to another."""
        only = self.only_collection()
        collection = Collection.objects.filter(name=self.kwargs["collection"]).first()
        if collection is None or only not in (None, collection.pk):
            raise Http404
        return collection

    def person(self, person_id: UUID | None = None) -> Person:
        """Return the person in the path, or the given person of the path's collection. Raises Http404."""
        collection = self.collection()
        person = Person.objects.filter(collection=collection, pk=person_id or self.kwargs["person"]).first()
        if person is None:
            raise Http404
        person.collection = collection
        return person

    def in_reach(self, rows: models.QuerySet[_Row]) -> models.QuerySet[_Row]:
        """Return the rows of the collections that the API key has access to."""
        only = self.only_collection()
        return rows if only is None else rows.filter(collection_id=only)


class ListView(ListModelMixin, ApiView):
    """Base class of list views. `query_class` is the query string's serializer, `page_ordering` a column."""

    query_class: ClassVar[type[QuerySerializer]] = NoQuery
    query: Mapping[str, Any]
    page_ordering = "-created_at"

    def get_page_ordering(self) -> str:
        return self.page_ordering

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.query = self.query_class.read(request)
        return super().list(request, *args, **kwargs)


def created(content: BaseSerializer[Any], location: str, code: int = status.HTTP_201_CREATED) -> Response:
    """Return the response to a request that created a resource at `location`."""
    return Response(content.data, status=code, headers={"Location": location})


def _drain(request: HttpRequest) -> None:
    """Read and discard the rest of the body.

    Otherwise gunicorn resets the connection of a request that was refused before its photo was read,
    and the client never sees the response.
    """
    left = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    with suppress(OSError):  # disconnected, or too slow: no client waits for the response
        while left > 0 and (chunk := request.read(DRAIN_CHUNK_BYTES)):
            left -= len(chunk)
