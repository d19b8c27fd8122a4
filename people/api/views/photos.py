from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people import enrolment
from people.api.idempotency import once
from people.api.openapi import raises
from people.api.openapi.problems import CHOSEN_FACE, PHOTO
from people.api.parsers import PHOTO_PARSERS
from people.api.requests.photos import PHOTO_REQUEST, photo_bytes
from people.api.requests.queries import (
    IDEMPOTENCY_KEY,
    PREFER,
    EnrolQuery,
    NoQuery,
    PhotoQuery,
    wait_seconds,
)
from people.api.responses.records import PhotoSerializer, with_warnings
from people.api.views.base import ApiView, ListView, created
from people.errors import ConsentMissing, PersonMerged, PoorQuality, ProcessingFailed, refusal
from people.models import Photo

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2


class PhotosView(ListView):
    tag = "photos"
    parser_classes = PHOTO_PARSERS
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}
    queryset = Photo.objects.all()
    serializer_class = PhotoSerializer
    query_class = PhotoQuery

    def get_queryset(self) -> QuerySet[Photo]:
        photos = Photo.objects.filter(person=self.person()).prefetch_related("templates")
        return photos.filter(status=self.query["status"]) if "status" in self.query else photos

    def paginate_queryset(self, queryset: Any) -> list[Any]:
        return list(with_warnings(super().paginate_queryset(queryset) or []))

    @extend_schema(
        operation_id="listPhotos",
        summary="List a person's photos",
        description=("Lists a person's photos, newest first."),
        parameters=[PhotoQuery],
        responses={200: PhotoSerializer(many=True)},
    )
    def get(self, request: Request, collection: str, person: UUID) -> Response:
        return self.list(request)

    @raises(*PHOTO, *CHOSEN_FACE, PoorQuality, ConsentMissing, PersonMerged, ProcessingFailed)
    @extend_schema(
        operation_id="enrolPhoto",
        summary="Enrol a photo",
        description=(
            "Enrols one face from a photo. Returns 201 if the photo is accepted within the time in "
            "`Prefer`, 202 if it is still being processed, and 200 if the person already has this "
            "photo. A photo that is rejected within that time returns an error with reasons and is "
            "not stored."
        ),
        request=PHOTO_REQUEST,
        parameters=[EnrolQuery, IDEMPOTENCY_KEY, PREFER],
        responses={200: PhotoSerializer, 201: PhotoSerializer, 202: PhotoSerializer},
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        return once(request, lambda: self._enrol(request), lambda response: person)

    def _enrol(self, request: Request) -> Response:
        query = EnrolQuery.read(request)
        (data,) = photo_bytes(request, "photo")
        submission = enrolment.submit(
            self.person(),
            data,
            actor=self.actor,
            face=query["face"],
            quality_level=query["quality"],
        )
        wait = wait_seconds(request)
        photo = _decided(submission.photo.pk, wait)
        if photo is None:
            raise Http404  # erased while it was being enrolled
        if photo.status == Photo.Status.REJECTED:
            # the response has all the reasons, so nothing of a rejected photo is kept
            enrolment.withdraw(photo, actor=self.actor)
            raise refusal(photo.rejection or {})
        code: int = status.HTTP_202_ACCEPTED
        if photo.status == Photo.Status.ACCEPTED:
            code = status.HTTP_201_CREATED if submission.created else status.HTTP_200_OK
        place = {"collection": self.kwargs["collection"], "person": photo.person_id, "photo": photo.pk}
        response = created(_shown(photo), reverse("photo", kwargs=place, request=request), code)
        if "Prefer" in request.headers:
            response["Preference-Applied"] = f"wait={wait}"
        return response


class PhotoView(ApiView):
    tag = "photos"
    scopes = {"GET": ["enrol"], "DELETE": ["enrol"]}

    @extend_schema(
        operation_id="getPhoto",
        summary="Get a photo",
        description=("Returns a photo: pending, accepted, or rejected with reasons."),
        responses={200: PhotoSerializer},
    )
    def get(self, request: Request, collection: str, person: UUID, photo: UUID) -> Response:
        NoQuery.read(request)
        return Response(_shown(self._photo(photo)).data)

    @extend_schema(
        operation_id="withdrawPhoto",
        summary="Withdraw a photo",
        description=("Permanently deletes a photo and its template."),
        responses={204: None},
    )
    def delete(self, request: Request, collection: str, person: UUID, photo: UUID) -> Response:
        NoQuery.read(request)
        enrolment.withdraw(self._photo(photo), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _photo(self, photo_id: UUID) -> Photo:
        photos = Photo.objects.filter(person=self.person(), pk=photo_id)
        photo = photos.prefetch_related("templates").first()
        if photo is None:
            raise Http404
        return photo


def _shown(photo: Photo) -> PhotoSerializer:
    with_warnings([photo])
    return PhotoSerializer(photo)


def _decided(photo_id: UUID, wait: int) -> Photo | None:
    """Return the photo once it is accepted or rejected, or after `wait` seconds; None if it was deleted."""
    deadline = time.monotonic() + wait
    pause = _FIRST_PAUSE
    while True:
        state = Photo.objects.filter(pk=photo_id).values_list("status", flat=True).first()
        if state != Photo.Status.PENDING or time.monotonic() >= deadline:
            return Photo.objects.prefetch_related("templates").filter(pk=photo_id).first()
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
