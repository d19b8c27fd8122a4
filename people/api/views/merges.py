from __future__ import annotations

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import merging
from people.api import representations, schemas
from people.api.authentication import actor
from people.api.idempotency import once
from people.api.views.base import ApiView
from people.models import Merge


class _MergeView(ApiView):
    def merge(self, merge: UUID) -> Merge:
        """Return the merge of this id. Raises Http404, also when the key is for another collection."""
        rows = Merge.objects.all()
        if (only := self.may_be_in()) is not None:
            rows = rows.filter(collection_id=only)
        return get_object_or_404(rows, pk=merge)


class MergesView(ApiView):
    scopes = {"POST": ["manage"]}

    @extend_schema(
        operation_id="mergePersons",
        description="Two records of one human become one: the photos of `other` come to this person.",
        request=schemas.PersonMerge,
        parameters=[schemas.IDEMPOTENCY_KEY],
        responses={201: schemas.MergeAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        return once(request, lambda: self._merge(request, collection, person), lambda response: person)

    def _merge(self, request: Request, collection: str, person: UUID) -> Response:
        kept = self.person(collection, person)
        body = schemas.PersonMerge(data=request.data)
        body.is_valid(raise_exception=True)
        other = self.person(collection, body.validated_data["other"])
        done = merging.merge(kept, other, actor=actor(request))
        location = reverse("merge", kwargs={"merge": done.pk}, request=request)
        return Response(
            representations.merge(done), status=status.HTTP_201_CREATED, headers={"Location": location}
        )


class MergeView(_MergeView):
    scopes = {"GET": ["manage"]}

    @extend_schema(operation_id="getMerge", responses={200: schemas.MergeAnswer, **schemas.PROBLEM})
    def get(self, request: Request, merge: UUID) -> Response:
        return Response(representations.merge(self.merge(merge)))


class UndoView(_MergeView):
    scopes = {"POST": ["manage"]}

    @extend_schema(
        operation_id="undoMerge",
        description="What came over goes back; what was enrolled since stays. The latest merge comes first.",
        request=None,
        parameters=[schemas.IDEMPOTENCY_KEY],
        responses={200: schemas.MergeAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, merge: UUID) -> Response:
        row = self.merge(merge)
        return once(request, lambda: self._undo(request, row), lambda response: row.kept_id)

    def _undo(self, request: Request, merge: Merge) -> Response:
        return Response(representations.merge(merging.undo(merge, actor=actor(request))))
