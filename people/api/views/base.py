"""What all views share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from people import capacity
from people.api.problems import request_id_of
from people.models import ApiKey, Collection, Person

READ_AWAY_BYTES = 65_536


class ApiView(APIView):
    """A view names the scopes that each of its methods needs in `scopes`."""

    scopes: ClassVar[Mapping[str, Sequence[str]]] = {}
    looks_at_photos: ClassVar[bool] = False
    """Whether each request takes a slot of `people.capacity`. It is refused first thing if there is none."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if self.looks_at_photos:
            capacity.probe_capacity.check()
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        if isinstance(request.auth, ApiKey):
            holder: Any = request._request
            holder.key_prefix = request.auth.prefix  # for the access log

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        _read_away(request._request)
        if window := getattr(request._request, "rate_window", None):
            for name, value in window.headers().items():
                response[name] = value
        # answers hold personal data: no cache on the way may keep them
        response["Cache-Control"] = "no-store"
        return response

    def may_be_in(self) -> UUID | None:
        """Return the id of the only collection that the key is for, or None when it is for all."""
        key = self.request.auth
        return key.collection_id if isinstance(key, ApiKey) else None

    def collection(self, name: str) -> Collection:
        """Return the collection of this name. Raises Http404, also when the key is for another."""
        only = self.may_be_in()
        try:
            found = Collection.objects.get(name=name)
        except Collection.DoesNotExist as error:
            raise Http404 from error
        if only is not None and only != found.pk:
            raise Http404
        return found

    def person(self, collection: str, person: UUID) -> Person:
        """Return the person of this id in this collection. Raises Http404."""
        home = self.collection(collection)
        found = Person.objects.filter(collection=home, pk=person).first()
        if found is None:
            raise Http404
        found.collection = home
        return found

    def answer(self, content: Mapping[str, Any]) -> Response:
        return Response({"request_id": request_id_of(self.request._request), **content})


def _read_away(request: HttpRequest) -> None:
    """Take in what the client still sends, and keep nothing of it.

    Whoever is refused before their photo was read would find the connection broken, and no answer.
    """
    left = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    with suppress(OSError):  # gone, or too slow: then there is nobody to answer
        while left > 0 and (chunk := request.read(READ_AWAY_BYTES)):
            left -= len(chunk)
