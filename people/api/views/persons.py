from __future__ import annotations

from uuid import UUID

from django.db.models import Q
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import erasure, registration
from people.api.idempotency import once
from people.api.openapi import raises
from people.api.requests.queries import IDEMPOTENCY_KEY, NoQuery, PersonQuery
from people.api.requests.records import PersonBody
from people.api.responses.records import ErasureSerializer, PersonSerializer
from people.api.views.base import ApiView, ListView, created
from people.errors import Conflict, PersonMerged
from people.models import Erasure, Person, Photo
from people.models.counts import photo_count
from people.models.person import PersonQuerySet

_LOOKUPS = {
    "status": "status",
    "external_id": "external_id",
    "created_after": "created_at__gte",
    "created_before": "created_at__lt",
}


def _counted() -> PersonQuerySet:
    accepted = photo_count(Photo.Status.ACCEPTED)
    return Person.objects.select_related("collection").annotate(photo_count=accepted)


class PersonsView(ListView):
    tag = "persons"
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}
    queryset = Person.objects.all()
    serializer_class = PersonSerializer
    query_class = PersonQuery

    def get_queryset(self) -> PersonQuerySet:
        query = self.query
        people = _counted().filter(collection=self.collection())
        people = people.filter(**{lookup: query[name] for name, lookup in _LOOKUPS.items() if name in query})
        if "status" not in query and "external_id" not in query:
            people = people.not_merged()
        if text := query.get("search"):
            people = people.filter(Q(name__icontains=text) | Q(external_id__icontains=text))
        return people

    def get_page_ordering(self) -> str:
        return str(self.query.get("ordering", self.page_ordering))

    @extend_schema(
        operation_id="listPersons",
        summary="List or search people",
        description=("Lists the people of a collection, filtered and ordered as requested."),
        parameters=[PersonQuery],
        responses={200: PersonSerializer(many=True)},
    )
    def get(self, request: Request, collection: str) -> Response:
        return self.list(request)

    @raises(Conflict)
    @extend_schema(
        operation_id="createPerson",
        summary="Create a person",
        description=(
            "Creates a person without photos. Returns 409 if the `external_id` is already used in "
            "this collection."
        ),
        request=PersonBody,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: PersonSerializer},
    )
    def post(self, request: Request, collection: str) -> Response:
        NoQuery.read(request)
        return once(request, lambda: self._create(request), lambda response: response.data["id"])

    def _create(self, request: Request) -> Response:
        collection = self.collection()
        body = PersonBody(data=request.data)
        body.is_valid(raise_exception=True)
        person = registration.save_person(
            Person(collection=collection, **body.validated_data), actor=self.actor
        )
        return created(
            PersonSerializer(_counted().get(pk=person.pk)),
            reverse("person", kwargs={"collection": collection.name, "person": person.pk}, request=request),
        )


class PersonView(ApiView):
    tag = "persons"
    scopes = {"GET": ["enrol"], "PATCH": ["enrol"], "DELETE": ["erase"]}

    @extend_schema(
        operation_id="getPerson",
        summary="Get a person",
        description=("Returns a person. Merged people are returned with the person to use instead."),
        responses={200: PersonSerializer},
    )
    def get(self, request: Request, collection: str, person: UUID) -> Response:
        NoQuery.read(request)
        return self._shown(self.person())

    @raises(Conflict, PersonMerged)
    @extend_schema(
        operation_id="changePerson",
        summary="Change a person",
        description=(
            "Changes the fields that you send. `metadata` is replaced as a whole. Returns 409 if the "
            "person was merged."
        ),
        request=PersonBody,
        responses={200: PersonSerializer},
    )
    def patch(self, request: Request, collection: str, person: UUID) -> Response:
        NoQuery.read(request)
        row = self.person()
        row.check_not_merged()
        body = PersonBody(row, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        for name, value in body.validated_data.items():
            setattr(row, name, value)
        return self._shown(registration.save_person(row, actor=self.actor))

    @extend_schema(
        operation_id="erasePerson",
        summary="Erase a person permanently",
        description=(
            "Permanently erases the person and all records merged with this one. Once this returns, "
            "no response contains them. Files and vectors are purged in the background; the receipt "
            "in `Location` shows when that is verified."
        ),
        responses={202: ErasureSerializer},
    )
    def delete(self, request: Request, collection: str, person: UUID) -> Response:
        NoQuery.read(request)
        receipt = erasure.erase(self.person(), actor=self.actor)
        location = reverse("erasure", kwargs={"erasure": receipt.pk}, request=request)
        return created(ErasureSerializer(receipt), location, status.HTTP_202_ACCEPTED)

    def _shown(self, person: Person) -> Response:
        return Response(PersonSerializer(_counted().get(pk=person.pk)).data)


class ErasureView(ApiView):
    tag = "erasures"
    scopes = {"GET": ["erase"]}

    @extend_schema(
        operation_id="getErasure",
        summary="Get an erasure receipt",
        description=(
            "Returns the receipt of an erasure: how much was deleted, and when the deletion was verified."
        ),
        responses={200: ErasureSerializer},
    )
    def get(self, request: Request, erasure: UUID) -> Response:
        NoQuery.read(request)
        receipts = self.in_reach(Erasure.objects.all())
        return Response(ErasureSerializer(get_object_or_404(receipts, pk=erasure)).data)
