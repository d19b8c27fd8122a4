"""The page "Identify a photo". The probe is never kept: it is returned to the browser inside the page."""

from __future__ import annotations

import base64
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from people import identification, photos
from people.admin.base import staff
from people.admin.figures import Figure, Mark
from people.errors import FacerecError
from people.extraction import box_json
from people.identification import Identification, IdentifiedFace
from people.models import Collection
from people.quality import LEVELS

PREVIEW_PX = 1200
"""The longer side of the picture in the answer."""


class IdentifyForm(forms.Form):
    photo = forms.FileField(
        allow_empty_file=True,  # the act says what is wrong with it
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"}),
        help_text="JPEG, PNG, WebP or HEIC, 10 MB. The photo is not stored.",
    )
    collection = forms.ModelChoiceField(Collection.objects.all(), empty_label=None)
    quality_level = forms.ChoiceField(
        choices=[(level, level) for level in LEVELS],
        initial="auto",
        label="Quality",
        help_text="Faces below this quality are skipped.",
    )
    include_below = forms.BooleanField(
        required=False, label="Also list the closest people below the threshold"
    )


def identify(request: HttpRequest) -> HttpResponse:
    """Search the faces of one photo in one collection."""
    if not request.user.has_perm("people.view_person"):
        raise PermissionDenied
    form = IdentifyForm(request.POST or None, request.FILES or None)
    context = {**admin.site.each_context(request), "title": "Identify a photo", "form": form}
    if request.method == "POST" and form.is_valid():
        asked: dict[str, Any] = dict(form.cleaned_data)
        data = asked.pop("photo").read()
        try:
            result = identification.identify(data, actor=staff(request), **asked)
        except FacerecError as error:
            form.add_error("photo", error.message)
        else:
            context |= {"show_result": True, "result": result, "figure": _figure(result, data)}
    return TemplateResponse(request, "people/identify.html", context)


def _figure(result: Identification, data: bytes) -> Figure:
    marks = [_mark(one, number) for number, one in enumerate(result.faces, 1)]
    marks += [Mark.at(box_json(face.detected.box), "poor", "skipped") for face in result.photo.skipped]
    return Figure(
        _picture(data),
        result.photo.width,
        result.photo.height,
        f"The photo that was sent, with {len(marks)} faces marked",
        marks,
    )


def _mark(one: IdentifiedFace, number: int) -> Mark:
    if one.decision == "match":
        best = one.candidates[0]
        kind, label = "good", f"{best.person} {best.score.similarity:.1f}"
    elif one.decision == "ambiguous":
        kind, label = "unsure", " or ".join(str(candidate.person) for candidate in one.candidates[:2])
    else:
        kind, label = "poor", f"{number}: no match"
    return Mark.at(box_json(one.detected.box), kind, label)


def _picture(data: bytes) -> str:
    """Return the photo, upright and scaled, as a data: URI, so that it is stored nowhere."""
    shown = photos.preview(photos.decode(data), PREVIEW_PX)
    return f"data:image/jpeg;base64,{base64.b64encode(shown).decode()}"
