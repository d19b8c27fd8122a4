from __future__ import annotations

from typing import Any

from django.db.models import Count, Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import erasure, registration
from people.api import schemas
from people.api.authentication import actor
from people.api.idempotency import once
from people.api.pagination import NewestFirst
from people.api.parsing import QuerySerializer
from people.api.views.base import ApiView
from people.models import Collection, Person
from people.models.collection import validate_key

_TUNING = ("description", "requires_consent", "fpir", "fmr", "min_similarity")


class Retention(serializers.ModelSerializer[Collection]):
    """The rules by which people are erased every hour."""

    class Meta:
        model = Collection
        fields = ["erase_without_consent", "erase_unseen_after_days"]


class CollectionSerializer(serializers.ModelSerializer[Collection]):
    retention = Retention(source="*", required=False)
    persons = serializers.SerializerMethodField(help_text="How many people it holds.")

    class Meta:
        model = Collection
        fields = ["id", "name", *_TUNING, "retention", "persons", "created_at", "updated_at"]
        # uniqueness is told as a conflict, by the act
        extra_kwargs = {"name": {"validators": [validate_key]}}
        validators: list[Any] = []

    def get_persons(self, row: Collection) -> int:
        return int(getattr(row, "person_count", 0))


class CollectionChange(CollectionSerializer):
    """A collection's name stands in URLs and stays as it is."""

    class Meta(CollectionSerializer.Meta):
        read_only_fields = ["name"]


def _counted() -> Any:
    people = Count("persons", filter=~Q(persons__status=Person.Status.MERGED))
    return Collection.objects.annotate(person_count=people)


class PageQuery(QuerySerializer):
    cursor = serializers.CharField(required=False, help_text="From `next` or `previous`.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="50 by default."
    )


class CollectionsView(ApiView):
    scopes = {"GET": ["manage"], "POST": ["manage"]}

    @extend_schema(
        operation_id="listCollections",
        parameters=[PageQuery],
        responses={200: CollectionSerializer(many=True), **schemas.PROBLEM},
    )
    def get(self, request: Request) -> Response:
        PageQuery.read(request)
        rows = _counted()
        if (only := self.may_be_in()) is not None:
            rows = rows.filter(pk=only)
        pages = NewestFirst()
        return pages.get_paginated_response(
            CollectionSerializer(pages.paginate_queryset(rows, request, self), many=True).data
        )

    @extend_schema(
        operation_id="createCollection",
        request=CollectionSerializer,
        parameters=[schemas.IDEMPOTENCY_KEY],
        responses={201: CollectionSerializer, **schemas.PROBLEM},
    )
    def post(self, request: Request) -> Response:
        if self.may_be_in() is not None:
            raise serializers.ValidationError(
                {"request": "This key is for one collection; it can't add others."}
            )
        return once(request, lambda: self._create(request), lambda response: None)

    def _create(self, request: Request) -> Response:
        serializer = CollectionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row = registration.save_collection(Collection(**serializer.validated_data), actor=actor(request))
        location = reverse("collection", kwargs={"collection": row.name}, request=request)
        return Response(
            CollectionSerializer(row).data, status=status.HTTP_201_CREATED, headers={"Location": location}
        )


class CollectionView(ApiView):
    scopes = {"GET": ["manage"], "PATCH": ["manage"], "DELETE": ["manage", "erase"]}

    @extend_schema(operation_id="getCollection", responses={200: CollectionSerializer, **schemas.PROBLEM})
    def get(self, request: Request, collection: str) -> Response:
        return Response(self._shown(self.collection(collection)))

    @extend_schema(
        operation_id="changeCollection",
        request=CollectionChange,
        responses={200: CollectionSerializer, **schemas.PROBLEM},
    )
    def patch(self, request: Request, collection: str) -> Response:
        row = self.collection(collection)
        serializer = CollectionChange(row, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        for name, value in serializer.validated_data.items():
            setattr(row, name, value)
        return Response(self._shown(registration.save_collection(row, actor=actor(request))))

    @extend_schema(
        operation_id="deleteCollection",
        description="Erases everyone in it, then the collection.",
        responses={204: None, **schemas.PROBLEM},
    )
    def delete(self, request: Request, collection: str) -> Response:
        erasure.erase_collection(self.collection(collection), actor=actor(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, row: Collection) -> Any:
        return CollectionSerializer(_counted().get(pk=row.pk)).data
