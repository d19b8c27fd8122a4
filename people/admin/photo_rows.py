"""A person's photos as their page shows them, with faces marked and verdicts in words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.urls import reverse

from people import photo_warnings
from people.admin.figures import Figure, Mark, words
from people.models import Person, Photo, Template

SHOWN_PHOTOS = 60
# What the acts' sentences say to programs, said to people who see the page.
_SAID = {
    "several_faces": "The photo shows several faces. Choose the one to enrol.",
    "poor_quality": "The face is not clear enough to enrol.",
}


def photo_rows(person_id: str) -> list[dict[str, Any]]:
    """Return the rows of the newest photos of a person, by the id as the admin's URLs quote it."""
    try:
        rows = Photo.objects.filter(person=UUID(unquote(person_id))).prefetch_related("templates")
    except ValueError:
        return []  # Django answers that there is no such person
    rows = rows[:SHOWN_PHOTOS]
    warnings = photo_warnings.current(rows)
    others = {one["person"] for many in warnings.values() for one in many if one.get("person")}
    # those who still exist
    names = {str(one.pk): one for one in Person.objects.filter(pk__in=others)}
    return [_photo_row(row, warnings[row.pk], names) for row in rows]


def _photo_row(row: Photo, warnings: list[dict[str, Any]], names: dict[str, Person]) -> dict[str, Any]:
    template: Template | None = next(iter(row.templates.all()), None)
    refused = row.rejection or {}
    marks = [Mark.at(template.box, "good", "")] if template else []
    if poor := refused.get("face"):
        marks.append(Mark.at(poor, "poor", ""))
    marks += [Mark.at(box, "unsure", str(n)) for n, box in enumerate(refused.get("faces", []), 1)]
    href = reverse("admin:photo_image", args=[row.pk])
    return {
        "photo": row,
        "detail": _SAID.get(refused.get("code", "")) or refused.get("detail", ""),
        "figure": Figure(href, row.width, row.height, f"Photo, {row.status}", marks),
        "faces": [
            f"{box['left']},{box['top']},{box['width']},{box['height']}" for box in refused.get("faces", [])
        ],
        "reasons": [{**reason, "title": words(reason["code"])} for reason in refused.get("reasons", [])],
        "warnings": [
            {
                **warning,
                "title": words(warning["code"]),
                "other": names.get(warning.get("person", "")),
            }
            for warning in warnings
        ],
    }
