"""The page "Identify a photo"."""

from __future__ import annotations

import base64
from typing import Any

from django import forms
from django.contrib import admin, messages
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

PREVIEW_SIDE = 1280
_KINDS = {"match": "good", "ambiguous": "unsure", "no_match": "poor"}


class IdentifyForm(forms.Form):
    photo = forms.FileField(
        widget=forms.ClearableFileInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"}),
        help_text="It is searched and not kept.",
    )
    collection = forms.ModelChoiceField(Collection.objects.all(), empty_label=None)
    quality = forms.ChoiceField(choices=[(level, level) for level in LEVELS], initial="auto")
    include_below = forms.BooleanField(required=False, label="List people below the threshold, too")


def identify(request: HttpRequest) -> HttpResponse:
    """Search every face of a photo and draw what was found."""
    if not request.user.has_perm("people.view_person"):
        raise PermissionDenied
    form = IdentifyForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Identify a photo", "form": form}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data["photo"].read()
        try:
            result = identification.identify(
                data,
                collection=form.cleaned_data["collection"],
                actor=staff(request),
                max_faces=50,
                quality_level=form.cleaned_data["quality"],
                include_below=form.cleaned_data["include_below"],
            )
            context |= {"result": result, "figure": _figure(data, result)}
        except FacerecError as error:
            messages.error(request, error.message)
    response = TemplateResponse(request, "people/identify.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _figure(data: bytes, result: Identification) -> Figure:
    shown = base64.b64encode(photos.preview(photos.decode(data), PREVIEW_SIDE)).decode()
    marks = [Mark.at(box_json(one.face.face.box), _KINDS[one.decision], _label(one)) for one in result.faces]
    marks += [Mark.at(box_json(face.face.box), "poor", "skipped") for face, _ in result.photo.skipped]
    return Figure(
        f"data:image/jpeg;base64,{shown}",
        result.photo.width,
        result.photo.height,
        f"The photo, with {len(marks)} faces marked",
        marks,
    )


def _label(one: IdentifiedFace) -> str:
    if one.decision == "no_match":
        return "nobody"
    best = one.candidates[0]
    sign = "? " if one.decision == "ambiguous" else ""
    return f"{sign}{best.person} {best.score.similarity:.0f}"
