"""The page "Identify a photo". The probe is never kept: it goes back to the browser inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from PIL import Image

from people import identification, photos
from people.admin.base import actor_of
from people.admin.figures import Mark, mark
from people.admin.photo_views import may_see_people
from people.admin.uploads import ACCEPT
from people.errors import FacerecError
from people.identification import Identification, IdentifiedFace
from people.models import Collection
from people.quality import LEVELS

PREVIEW_PX = 1200
"""The longer side of the picture in the answer."""


class IdentifyForm(forms.Form):
    photo = forms.FileField(
        allow_empty_file=True,  # the act says what is wrong with it
        widget=forms.FileInput(attrs={"accept": ACCEPT, "class": "photos-input"}),
        help_text="JPEG, PNG, WebP or HEIC, up to 10 MB. It is not kept.",
    )
    collection = forms.ModelChoiceField(Collection.objects.all(), empty_label=None)
    quality_level = forms.ChoiceField(
        choices=[(level, level) for level in LEVELS],
        initial="auto",
        label="Quality",
        help_text="Faces that are not as good as this are skipped.",
    )
    include_below = forms.BooleanField(
        required=False, label="List the nearest people below the threshold too"
    )


@dataclass(frozen=True, slots=True)
class ShownFace:
    number: int
    verdict: str
    identified: IdentifiedFace


@dataclass(frozen=True, slots=True)
class Shown:
    """An identification, ready to be drawn."""

    result: Identification
    picture: str
    """A data: URI."""
    marks: list[Mark]
    faces: list[ShownFace]


def identify_view(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Search the faces of one photo in one collection. `context` is the admin site's."""
    if not may_see_people(request):
        raise PermissionDenied
    form = IdentifyForm(request.POST or None, request.FILES or None)
    shown = None
    if request.method == "POST" and form.is_valid():
        asked = dict(form.cleaned_data)
        data = asked.pop("photo").read()
        try:
            shown = _shown(identification.identify(data, actor=actor_of(request), **asked), data)
        except FacerecError as error:
            form.add_error("photo", error.message)
    return TemplateResponse(
        request,
        "people/admin/identify.html",
        {**context, "title": "Identify a photo", "form": form, "shown": shown},
    )


def _shown(result: Identification, data: bytes) -> Shown:
    width, height = result.photo.width, result.photo.height
    marks, faces = [], []
    for number, one in enumerate(result.faces, 1):
        verdict, kind = _verdict(one)
        label = verdict
        if one.decision == "match":
            label = f"{verdict} {one.candidates[0].score.similarity:.1f}"
        elif one.decision == "no_match":
            label = "Nobody"
        marks.append(mark(one.face.face.box, width, height, label=f"{number} · {label}", kind=kind))
        faces.append(ShownFace(number, verdict, one))
    for skipped, _ in result.photo.skipped:
        marks.append(mark(skipped.face.box, width, height, label="Skipped", kind="skipped"))
    return Shown(result, _picture(data), marks, faces)


def _verdict(one: IdentifiedFace) -> tuple[str, str]:
    if one.decision == "match":
        return str(one.candidates[0].person), "match"
    if one.decision == "ambiguous":
        return " or ".join(str(candidate.person) for candidate in one.candidates[:2]), "ambiguous"
    return "Nobody in this collection", "nobody"


def _picture(data: bytes) -> str:
    """Return the photo, upright and scaled, as a data: URI, so that it is stored nowhere."""
    picture = Image.fromarray(photos.decode(data))
    picture.thumbnail((PREVIEW_PX, PREVIEW_PX))
    return f"data:image/jpeg;base64,{base64.b64encode(photos.encode(np.asarray(picture))).decode()}"
