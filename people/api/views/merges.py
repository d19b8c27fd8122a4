from __future__ import annotations

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import merging
from people.api.idempotency import once
from people.api.openapi import raises
from people.api.requests.queries import IDEMPOTENCY_KEY, NoQuery
from people.api.requests.records import MergeBody
from people.api.responses.records import MergeSerializer
from people.api.views.base import ApiView, created
from people.errors import MergedErased, NotMergeable, PersonMerged, UndoneAlready, UndoOutOfOrder
from people.models import Merge


class _MergeView(ApiView):
    def merge(self) -> Merge:
        """Return the merge in the path. Raises Http404, also if the key is bound to another collection."""
        return get_object_or_404(self.in_reach(Merge.objects.all()), pk=self.kwargs["merge"])


class MergesView(ApiView):
    tag = "merges"
    scopes = {"POST": ["manage"]}

    @raises(NotMergeable, PersonMerged)
    @extend_schema(
        operation_id="mergePersons",
        summary="Merge two people",
        description=(
            "Merges two records of the same person: the photos of `other` are moved to the person in "
            "the path, and `other` no longer appears in search results. The merge can be undone."
        ),
        request=MergeBody,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: MergeSerializer},
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        NoQuery.read(request)
        return once(request, lambda: self._merge(request), lambda response: person)

    def _merge(self, request: Request) -> Response:
        kept = self.person()
        body = MergeBody(data=request.data)
        body.is_valid(raise_exception=True)
        merged = self.person(body.validated_data["other"])
        merge = merging.merge(kept, merged, actor=self.actor)
        return created(MergeSerializer(merge), reverse("merge", kwargs={"merge": merge.pk}, request=request))


class MergeView(_MergeView):
    tag = "merges"
    scopes = {"GET": ["manage"]}

    @extend_schema(
        operation_id="getMerge",
        summary="Get a merge",
        description=("Returns a merge."),
        responses={200: MergeSerializer},
    )
    def get(self, request: Request, merge: UUID) -> Response:
        NoQuery.read(request)
        return Response(MergeSerializer(self.merge()).data)


class UndoView(_MergeView):
    tag = "merges"
    scopes = {"POST": ["manage"]}

    @raises(UndoneAlready, UndoOutOfOrder, MergedErased)
    @extend_schema(
        operation_id="undoMerge",
        summary="Undo a merge",
        description=(
            "Restores the merged person and moves their photos back. Photos enrolled since the merge "
            "stay with the kept person. If a person was merged several times, undo the latest merge "
            "first."
        ),
        request=None,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: MergeSerializer},
    )
    def post(self, request: Request, merge: UUID) -> Response:
        NoQuery.read(request)
        row = self.merge()
        return once(request, lambda: self._undo(row), lambda response: row.kept_id)

    def _undo(self, merge: Merge) -> Response:
        return Response(MergeSerializer(merging.undo(merge, actor=self.actor)).data)
