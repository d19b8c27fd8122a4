"""The page "Identify a photo". The probe is never stored: it is returned to the browser in the page."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse

from people import identification, photos
from people.admin.base import staff
from people.admin.figures import Figure, Mark
from people.admin.staff_texts import error_text, reason_rows
from people.errors import FacerecError
from people.extraction import MAX_FACES, box_json
from people.identification import Identification, IdentifiedFace
from people.models import Collection
from people.quality import LEVELS

PREVIEW_PX = 1200
"""The longer side of the picture in the response."""


class IdentifyForm(forms.Form):
    photo = forms.FileField(
        allow_empty_file=True,  # the operation reports what is wrong with it
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"}),
        help_text="JPEG, PNG, WebP or HEIC, up to 10 MB. The photo is not stored.",
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
    """Search one collection for the faces of one photo."""
    if not request.user.has_perm("people.view_person"):
        raise PermissionDenied
    form = IdentifyForm(request.POST or None, request.FILES or None)
    context = {**admin.site.each_context(request), "title": "Identify a photo", "form": form}
    if request.method == "POST" and form.is_valid():
        options: dict[str, Any] = dict(form.cleaned_data)
        data = options.pop("photo").read()
        try:
            result = identification.identify(data, actor=staff(request), max_faces=MAX_FACES, **options)
        except FacerecError as error:
            form.add_error("photo", error_text(error))
        else:
            context |= {
                "show_result": True,
                "result": result,
                "skipped": [
                    reason_rows(reason.as_json() for reason in face.reasons) for face in result.photo.skipped
                ],
                "figure": _figure(result, data),
            }
    return TemplateResponse(request, "people/identify.html", context)


def _figure(result: Identification, data: bytes) -> Figure:
    """Draw the photo. A single face is labelled with its result, several with the numbers of their cards."""
    marks = [_mark(face) for face in result.faces]
    marks += [Mark.at(box_json(face.detected.box), "poor", "not searched") for face in result.photo.skipped]
    if len(marks) > 1:
        marks = [replace(mark, label=str(number)) for number, mark in enumerate(marks, 1)]
    return Figure(
        _picture(data),
        result.photo.width,
        result.photo.height,
        f"The uploaded photo, with {len(marks)} {pluralize(len(marks), 'face,faces')} marked",
        marks,
    )


def _mark(face: IdentifiedFace) -> Mark:
    if face.decision == "match":
        best = face.candidates[0]
        kind, label = "good", f"{best.person} {best.score.similarity:.1f}"
    elif face.decision == "ambiguous":
        kind, label = "unsure", " or ".join(str(candidate.person) for candidate in face.candidates[:2])
    else:
        kind, label = "poor", "no match"
    return Mark.at(box_json(face.detected.box), kind, label)


def _picture(data: bytes) -> str:
    """Return the photo, upright and scaled, as a data: URI, so that it need not be stored."""
    preview = photos.preview(photos.decode(data), PREVIEW_PX)
    return f"data:image/jpeg;base64,{base64.b64encode(preview).decode()}"
