"""A photo's bytes, for staff who may view people, and what staff do with one photo."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from people import enrolment, photos
from people.admin.base import staff
from people.admin.staff_texts import error_text
from people.errors import FacerecError
from people.faces import Box
from people.models import Photo, Template
from people.models.photo import photo_storage

THUMBNAIL_SIDE = 96


def _photo(request: HttpRequest, photo_id: UUID, permission: str) -> Photo:
    if not request.user.has_perm(permission):
        raise PermissionDenied
    row = Photo.objects.select_related("person").filter(pk=photo_id).first()
    if row is None:
        raise Http404("This photo no longer exists.")
    return row


def _bytes(photo: Photo) -> bytes:
    try:
        with photo_storage().open(str(photo.file.name)) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise Http404("This photo no longer exists.") from error


def _jpeg(content: bytes) -> HttpResponse:
    # an erased person's photo must not stay in a browser's cache
    return HttpResponse(content, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


@require_GET
def image(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Return the stored photo; if it is in a bucket, redirect to a signed URL that expires soon."""
    row = _photo(request, photo_id, "people.view_person")
    if signed_url := getattr(photo_storage(), "signed_url", None):
        return HttpResponseRedirect(signed_url(row.file.name), headers={"Cache-Control": "no-store"})
    return _jpeg(_bytes(row))


@require_GET
def thumbnail(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Return the photo's enrolled face, or the whole photo if it has none."""
    row = _photo(request, photo_id, "people.view_person")
    picture = photos.decode(_bytes(row))
    box = Template.objects.filter(photo=row).values_list("box", flat=True).first()
    area = Box(**box) if box else Box(0, 0, picture.shape[1], picture.shape[0])
    return _jpeg(photos.thumbnail(picture, area, THUMBNAIL_SIDE))


@require_POST
def withdraw(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Delete one photo with its template."""
    row = _photo(request, photo_id, "people.change_person")
    enrolment.withdraw(row, actor=staff(request))
    messages.success(request, "The photo was withdrawn. Its file and template are deleted.")
    return redirect("admin:people_person_change", row.person_id)


@require_POST
def choose_face(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Enrol the face at `box`, one of the faces for which the photo was rejected."""
    row = _photo(request, photo_id, "people.change_person")
    try:
        left, top, width, height = (int(number) for number in request.POST.get("box", "").split(","))
    except ValueError:
        messages.error(request, "Choose one of the faces.")
    else:
        try:
            enrolment.choose_face(row, Box(left, top, width, height), actor=staff(request))
        except FacerecError as error:
            messages.error(request, error_text(error))
        else:
            messages.info(request, "The chosen face is being enrolled.")
    return redirect("admin:people_person_change", row.person_id)
