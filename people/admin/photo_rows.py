"""A person's photos as the person's page shows them, with marked faces and verdicts in words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.urls import reverse

from people import photo_warnings
from people.admin.figures import Figure, Mark
from people.admin.staff_texts import code_in_words, problem_text, reason_rows
from people.models import Person, Photo, Template

SHOWN_PHOTOS = 60
TEXTS = {"several_faces": "The photo shows several faces. Choose the one to enrol."}


def photo_rows(person_id: str) -> list[dict[str, Any]]:
    """Return the rows of a person's newest photos. `person_id` is quoted, as in the admin's URLs."""
    try:
        rows = Photo.objects.filter(person=UUID(unquote(person_id))).prefetch_related("templates")
    except ValueError:
        return []  # Django reports that the person doesn't exist
    rows = rows[:SHOWN_PHOTOS]
    warnings = photo_warnings.current(rows)
    named_ids = {
        warning["person"]
        for warnings_of_photo in warnings.values()
        for warning in warnings_of_photo
        if warning.get("person")
    }
    # without people who have been erased
    named_persons = {str(person.pk): person for person in Person.objects.filter(pk__in=named_ids)}
    return [_photo_row(row, warnings[row.pk], named_persons) for row in rows]


def _photo_row(
    row: Photo, warnings: list[dict[str, Any]], named_persons: dict[str, Person]
) -> dict[str, Any]:
    template: Template | None = next(iter(row.templates.all()), None)
    rejection = row.rejection or {}
    marks = [Mark.at(template.box, "good", "")] if template else []
    if poor_face := rejection.get("face"):
        marks.append(Mark.at(poor_face, "poor", ""))
    marks += [Mark.at(box, "unsure", str(number)) for number, box in enumerate(rejection.get("faces", []), 1)]
    href = reverse("admin:photo_image", args=[row.pk])
    return {
        "photo": row,
        "detail": problem_text(rejection, TEXTS),
        "figure": Figure(href, row.width, row.height, f"Photo, {row.status}", marks),
        "faces": [
            f"{box['left']},{box['top']},{box['width']},{box['height']}" for box in rejection.get("faces", [])
        ],
        "reasons": reason_rows(rejection.get("reasons", [])),
        "warnings": [
            {
                **warning,
                "title": code_in_words(warning["code"]),
                "other_person": named_persons.get(warning.get("person", "")),
            }
            for warning in warnings
        ],
    }
