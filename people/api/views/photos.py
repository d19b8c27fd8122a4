from __future__ import annotations

import time
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import enrolment
from people.api import representations, schemas
from people.api.authentication import actor
from people.api.idempotency import once
from people.api.pagination import NewestFirst
from people.api.parsing import EnrolQuery, QuerySerializer, photo_bytes, wait_seconds
from people.api.views.base import ApiView
from people.errors import refusal
from people.models import Photo

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2


class PhotoQuery(QuerySerializer):
    status = serializers.ChoiceField(Photo.Status.choices, required=False)
    cursor = serializers.CharField(required=False, help_text="From `next` or `previous`.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="50 by default."
    )


class PhotosView(ApiView):
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}

    @extend_schema(
        operation_id="listPhotos",
        parameters=[PhotoQuery],
        responses={200: schemas.PhotoAnswer(many=True), **schemas.PROBLEM},
    )
    def get(self, request: Request, collection: str, person: UUID) -> Response:
        query = PhotoQuery.read(request)
        rows = Photo.objects.filter(person=self.person(collection, person)).prefetch_related("templates")
        if wanted := query.get("status"):
            rows = rows.filter(status=wanted)
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, self) or []
        return pages.get_paginated_response(representations.photos(page))

    @extend_schema(
        operation_id="enrolPhoto",
        request=schemas.PHOTO_REQUEST,
        parameters=[EnrolQuery, schemas.IDEMPOTENCY_KEY, schemas.PREFER],
        responses={
            200: schemas.PhotoAnswer,
            201: schemas.PhotoAnswer,
            202: schemas.PhotoAnswer,
            **schemas.PROBLEM,
        },
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        return once(request, lambda: self._enrol(request, collection, person), lambda response: person)

    def _enrol(self, request: Request, collection: str, person_id: UUID) -> Response:
        query = EnrolQuery.read(request)
        person = self.person(collection, person_id)
        submission = enrolment.submit(
            person,
            photo_bytes(request),
            actor=actor(request),
            face=query["face"],
            quality_level=query["quality"],
        )
        wait = wait_seconds(request)
        photo = _decided(submission.photo.pk, wait)
        if photo is None:
            raise Http404  # erased while it was enrolled
        if photo.status == Photo.Status.REJECTED:
            # the answer says it all: a photo that can't be used leaves nothing behind
            enrolment.withdraw(photo, actor=actor(request))
            raise refusal(photo.rejection or {})
        headers = {
            "Location": reverse(
                "photo",
                kwargs={"collection": collection, "person": photo.person_id, "photo": photo.pk},
                request=request,
            )
        }
        if "Prefer" in request.headers:
            headers["Preference-Applied"] = f"wait={wait}"
        code: int = status.HTTP_202_ACCEPTED
        if photo.status == Photo.Status.ACCEPTED:
            code = status.HTTP_201_CREATED if submission.created else status.HTTP_200_OK
        return Response(representations.photo(photo), status=code, headers=headers)


class PhotoView(ApiView):
    scopes = {"GET": ["enrol"], "DELETE": ["enrol"]}

    @extend_schema(operation_id="getPhoto", responses={200: schemas.PhotoAnswer, **schemas.PROBLEM})
    def get(self, request: Request, collection: str, person: UUID, photo: UUID) -> Response:
        return Response(representations.photo(self._photo(collection, person, photo)))

    @extend_schema(operation_id="withdrawPhoto", responses={204: None, **schemas.PROBLEM})
    def delete(self, request: Request, collection: str, person: UUID, photo: UUID) -> Response:
        enrolment.withdraw(self._photo(collection, person, photo), actor=actor(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _photo(self, collection: str, person: UUID, photo: UUID) -> Photo:
        rows = Photo.objects.filter(person=self.person(collection, person), pk=photo)
        found = rows.prefetch_related("templates").first()
        if found is None:
            raise Http404
        return found


def _decided(photo_id: UUID, wait: int) -> Photo | None:
    """Return the photo once it is decided, or as it is after `wait` seconds; None if it is gone."""
    deadline = time.monotonic() + wait
    pause = _FIRST_PAUSE
    while True:
        state = Photo.objects.filter(pk=photo_id).values_list("status", flat=True).first()
        if state != Photo.Status.PENDING or time.monotonic() >= deadline:
            return Photo.objects.prefetch_related("templates").filter(pk=photo_id).first()
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
