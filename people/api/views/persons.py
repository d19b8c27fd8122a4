from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import erasure, registration
from people.api import representations, schemas
from people.api.authentication import actor
from people.api.idempotency import once
from people.api.pagination import NewestFirst
from people.api.parsing import QuerySerializer
from people.api.views.base import ApiView
from people.models import Erasure, Person, Photo
from people.models.collection import validate_key
from people.strict_json import StrictDecoder

_LOOKUPS = {
    "status": "status",
    "external_id": "external_id",
    "created_after": "created_at__gte",
    "created_before": "created_at__lt",
}
_ORDERINGS = ("created_at", "-created_at", "name", "-name", "external_id", "-external_id")


class Consent(serializers.Serializer[Person]):
    given_at = serializers.DateTimeField(source="consent_given_at", allow_null=True, required=False)
    expires_at = serializers.DateTimeField(source="consent_expires_at", allow_null=True, required=False)


class PersonSerializer(serializers.ModelSerializer[Person]):
    consent = Consent(source="*", required=False)
    photos = serializers.SerializerMethodField(help_text="How many accepted photos there are.")
    collection = serializers.CharField(source="collection.name", read_only=True)
    merged_into = serializers.SerializerMethodField(help_text="Of a merged person: who stands for them now.")

    class Meta:
        model = Person
        fields = [
            "id", "collection", "external_id", "name", "metadata", "status", "merged_into", "consent",
            "photos", "created_at", "updated_at",
        ]  # fmt: skip
        extra_kwargs = {
            "external_id": {"validators": [validate_key]},
            "metadata": {"decoder": StrictDecoder},  # of a form's field
        }
        validators: list[Any] = []

    def get_photos(self, row: Person) -> int:
        return int(getattr(row, "photo_count", 0))

    def get_merged_into(self, row: Person) -> UUID | None:
        return row.kept().pk if row.merged_into_id else None


class PersonWrite(PersonSerializer):
    """What a program may set: people are merged by `merge`, not by their status."""

    status = serializers.ChoiceField(
        [choice for choice in Person.Status.choices if choice[0] != Person.Status.MERGED],
        required=False,
        help_text="A suspended person stays enrolled and is never found.",
    )


class PersonQuery(QuerySerializer):
    status = serializers.ChoiceField(
        Person.Status.choices,
        required=False,
        help_text="Without it merged people are listed only when asked for by external_id.",
    )
    external_id = serializers.CharField(required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    search = serializers.CharField(required=False, help_text="In name and external_id.")
    ordering = serializers.ChoiceField(_ORDERINGS, required=False)
    cursor = serializers.CharField(required=False, help_text="From `next` or `previous`.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="50 by default."
    )


def _counted() -> Any:
    return Person.objects.select_related("collection").annotate(
        photo_count=Count("photos", filter=Q(photos__status=Photo.Status.ACCEPTED))
    )


class PersonsView(ApiView):
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}

    @extend_schema(
        operation_id="listPersons",
        parameters=[PersonQuery],
        responses={200: PersonSerializer(many=True), **schemas.PROBLEM},
    )
    def get(self, request: Request, collection: str) -> Response:
        query = PersonQuery.read(request)
        rows = _counted().filter(collection=self.collection(collection))
        rows = rows.filter(**{lookup: query[name] for name, lookup in _LOOKUPS.items() if name in query})
        if "status" not in query and "external_id" not in query:
            rows = rows.not_merged()
        if words := query.get("search"):
            rows = rows.filter(Q(name__icontains=words) | Q(external_id__icontains=words))
        pages = NewestFirst()
        if ordering := query.get("ordering"):
            pages.ordering = (ordering, "-id")
        return pages.get_paginated_response(
            PersonSerializer(pages.paginate_queryset(rows, request, self), many=True).data
        )

    @extend_schema(
        operation_id="createPerson",
        request=PersonWrite,
        parameters=[schemas.IDEMPOTENCY_KEY],
        responses={201: PersonSerializer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str) -> Response:
        return once(request, lambda: self._create(request, collection), lambda response: response.data["id"])

    def _create(self, request: Request, collection: str) -> Response:
        home = self.collection(collection)
        serializer = PersonWrite(data=request.data)
        serializer.is_valid(raise_exception=True)
        person = registration.save_person(
            Person(collection=home, **serializer.validated_data), actor=actor(request)
        )
        location = reverse("person", kwargs={"collection": home.name, "person": person.pk}, request=request)
        return Response(
            PersonSerializer(person).data, status=status.HTTP_201_CREATED, headers={"Location": location}
        )


class PersonView(ApiView):
    scopes = {"GET": ["enrol"], "PATCH": ["enrol"], "DELETE": ["erase"]}

    @extend_schema(operation_id="getPerson", responses={200: PersonSerializer, **schemas.PROBLEM})
    def get(self, request: Request, collection: str, person: UUID) -> Response:
        return Response(self._shown(self.person(collection, person)))

    @extend_schema(
        operation_id="changePerson",
        request=PersonWrite,
        responses={200: PersonSerializer, **schemas.PROBLEM},
    )
    def patch(self, request: Request, collection: str, person: UUID) -> Response:
        row = self.person(collection, person)
        row.check_not_merged()
        serializer = PersonWrite(row, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        for name, value in serializer.validated_data.items():
            setattr(row, name, value)
        return Response(self._shown(registration.save_person(row, actor=actor(request))))

    @extend_schema(
        operation_id="erasePerson",
        description=(
            "Gone from every answer when this returns, with all records that were merged with this one; "
            "files follow within seconds."
        ),
        responses={202: schemas.ErasureAnswer, **schemas.PROBLEM},
    )
    def delete(self, request: Request, collection: str, person: UUID) -> Response:
        receipt = erasure.erase(self.person(collection, person), actor=actor(request))
        location = reverse("erasure", kwargs={"erasure": receipt.pk}, request=request)
        return Response(
            representations.erasure(receipt), status=status.HTTP_202_ACCEPTED, headers={"Location": location}
        )

    def _shown(self, row: Person) -> Any:
        return PersonSerializer(_counted().get(pk=row.pk)).data


class ErasureView(ApiView):
    scopes = {"GET": ["erase"]}

    @extend_schema(operation_id="getErasure", responses={200: schemas.ErasureAnswer, **schemas.PROBLEM})
    def get(self, request: Request, erasure: UUID) -> Response:
        rows = Erasure.objects.filter(pk=erasure)
        if (only := self.may_be_in()) is not None:
            rows = rows.filter(collection_id=only)
        return Response(representations.erasure(get_object_or_404(rows)))
