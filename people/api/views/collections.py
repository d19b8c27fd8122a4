from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import erasure, registration
from people.api.idempotency import once
from people.api.openapi import raises
from people.api.requests.queries import IDEMPOTENCY_KEY, NoQuery, PageQuery
from people.api.requests.records import CollectionBody, CollectionChangeBody
from people.api.responses.records import CollectionSerializer
from people.api.views.base import ApiView, ListView, created
from people.errors import Conflict
from people.models import Collection
from people.models.counts import person_count


def _counted() -> QuerySet[Collection]:
    return Collection.objects.annotate(person_count=person_count())


class CollectionsView(ListView):
    tag = "collections"
    scopes = {"GET": ["manage"], "POST": ["manage"]}
    queryset = Collection.objects.all()
    serializer_class = CollectionSerializer
    query_class = PageQuery

    def get_queryset(self) -> QuerySet[Collection]:
        only = self.only_collection()
        return _counted() if only is None else _counted().filter(pk=only)

    @extend_schema(
        operation_id="listCollections",
        summary="List collections",
        description=("Lists the collections that this API key has access to, newest first."),
        parameters=[PageQuery],
        responses={200: CollectionSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        return self.list(request)

    @raises(Conflict)
    @extend_schema(
        operation_id="createCollection",
        summary="Create a collection",
        description=(
            "Creates a collection. People in different collections are never compared. An API key "
            "that is bound to one collection can't create others."
        ),
        request=CollectionBody,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: CollectionSerializer},
    )
    def post(self, request: Request) -> Response:
        NoQuery.read(request)
        if self.only_collection() is not None:
            raise serializers.ValidationError(
                {"request": "This API key is bound to one collection and can't create others."}
            )
        return once(request, lambda: self._create(request), lambda response: None)

    def _create(self, request: Request) -> Response:
        body = CollectionBody(data=request.data)
        body.is_valid(raise_exception=True)
        collection = registration.save_collection(Collection(**body.validated_data), actor=self.actor)
        return created(
            CollectionSerializer(_counted().get(pk=collection.pk)),
            reverse("collection", kwargs={"collection": collection.name}, request=request),
        )


class CollectionView(ApiView):
    tag = "collections"
    scopes = {"GET": ["manage"], "PATCH": ["manage"], "DELETE": ["manage", "erase"]}

    @extend_schema(
        operation_id="getCollection",
        summary="Get a collection",
        description=("Returns a collection with its settings and its number of people."),
        responses={200: CollectionSerializer},
    )
    def get(self, request: Request, collection: str) -> Response:
        NoQuery.read(request)
        return self._shown(self.collection())

    @raises(Conflict)
    @extend_schema(
        operation_id="changeCollection",
        summary="Change a collection's settings",
        description=("Changes the settings that you send. The name can't be changed."),
        request=CollectionChangeBody,
        responses={200: CollectionSerializer},
    )
    def patch(self, request: Request, collection: str) -> Response:
        NoQuery.read(request)
        row = self.collection()
        body = CollectionChangeBody(row, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        for name, value in body.validated_data.items():
            setattr(row, name, value)
        return self._shown(registration.save_collection(row, actor=self.actor))

    @extend_schema(
        operation_id="deleteCollection",
        summary="Delete a collection and erase its people",
        description=(
            "Erases every person in the collection, then deletes the collection with its API keys and"
            " stops its imports. If the request is interrupted, send it again."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, collection: str) -> Response:
        NoQuery.read(request)
        erasure.erase_collection(self.collection(), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, collection: Collection) -> Response:
        return Response(CollectionSerializer(_counted().get(pk=collection.pk)).data)
