"""A photo's bytes, for those who may see people; and what staff do with one photo."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from people import enrolment, photos
from people.admin.base import staff
from people.errors import FacerecError
from people.faces import Box
from people.models import Photo, Template
from people.models.photo import photo_storage

THUMBNAIL_SIDE = 96


def _photo(request: HttpRequest, photo: UUID, permission: str) -> Photo:
    if not request.user.has_perm(permission):
        raise PermissionDenied
    found = Photo.objects.select_related("person").filter(pk=photo).first()
    if found is None:
        raise Http404("This photo no longer exists.")
    return found


def _bytes(photo: Photo) -> bytes:
    try:
        with photo_storage().open(str(photo.file.name)) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise Http404("This photo no longer exists.") from error


def _jpeg(content: bytes) -> HttpResponse:
    # an erased person's photo must not live on in a browser's cache
    return HttpResponse(content, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


@require_GET
def image(request: HttpRequest, photo: UUID) -> HttpResponse:
    """Answer the photo as it is kept; where it lies in a bucket, by a signed URL that soon expires."""
    found = _photo(request, photo, "people.view_person")
    if signed_url := getattr(photo_storage(), "signed_url", None):
        return HttpResponseRedirect(signed_url(found.file.name), headers={"Cache-Control": "no-store"})
    return _jpeg(_bytes(found))


@require_GET
def thumbnail(request: HttpRequest, photo: UUID) -> HttpResponse:
    """Answer the photo's face, or the whole photo while no face is known."""
    found = _photo(request, photo, "people.view_person")
    picture = photos.decode(_bytes(found))
    box = Template.objects.filter(photo=found).values_list("box", flat=True).first()
    area = Box(**box) if box else Box(0, 0, picture.shape[1], picture.shape[0])
    return _jpeg(photos.thumbnail(picture, area, THUMBNAIL_SIDE))


@require_POST
def withdraw(request: HttpRequest, photo: UUID) -> HttpResponse:
    """Delete one photo with its template."""
    found = _photo(request, photo, "people.change_person")
    enrolment.withdraw(found, actor=staff(request))
    messages.success(request, "The photo was withdrawn. Its file and template are deleted.")
    return redirect("admin:people_person_change", found.person_id)


@require_POST
def choose_face(request: HttpRequest, photo: UUID) -> HttpResponse:
    """Enrol the face at `box`, of those that the photo was refused for."""
    found = _photo(request, photo, "people.change_person")
    try:
        left, top, width, height = (int(number) for number in request.POST.get("box", "").split(","))
    except ValueError:
        messages.error(request, "Choose one of the faces.")
    else:
        try:
            enrolment.choose_face(found, Box(left, top, width, height), actor=staff(request))
        except FacerecError as error:
            messages.error(request, error.message)
        else:
            messages.info(request, "The chosen face is being enrolled.")
    return redirect("admin:people_person_change", found.person_id)
