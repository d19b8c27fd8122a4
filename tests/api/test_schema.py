"""Responses match the OpenAPI document."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from people.models import Person
from tests import fakes
from tests.api.program import IDENTIFY, Program

PERSONS = "/api/v1/collections/default/persons/"
Enrol = Callable[..., Person]


def _json(*names: str, data: bytes) -> dict[str, Any]:
    return {name: {"base64": base64.b64encode(data).decode()} for name in names}


def test_searches_and_comparisons_match_the_document(
    api: Program, enrolled: Enrol, fits: Callable[[str, Any], None]
) -> None:
    person = enrolled(1)
    probe = fakes.photo(1, 9)
    fits("Identification", api.send_photo(f"{IDENTIFY}?include_below=true", probe).json())
    fits("Identification", api.send_photo(IDENTIFY, fakes.photo(1, dark=True)).json())
    fits("Verification", api.send_photo(f"{PERSONS}{person.pk}/verify/", fakes.photo(1)).json())
    fits("Comparison", api.post("/api/v1/compare/", _json("source", "target", data=probe)).json())
    fits("Detection", api.send_photo("/api/v1/detect/", probe).json())
    fits("Engine", api.get("/api/v1/engine/").json())


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
def test_enrolment_and_erasure_match_the_document(
    api: Program, enrolled: Enrol, fits: Callable[[str, Any], None]
) -> None:
    enrolled(1)
    created = api.post(PERSONS, {"name": "Ada"})
    fits("Person", created.json())
    photos = f"{created['Location']}photos/"
    fits("Photo", api.send_photo(photos, fakes.photo(1, variation=4)).json())
    fits("Photo", api.send_photo(photos, fakes.photo(2), Prefer="wait=0").json())
    fits("Erasure", api.delete(created["Location"]).json())
    fits("Collection", api.get("/api/v1/collections/default/").json())


def test_merges_match_the_document(api: Program, enrolled: Enrol, fits: Callable[[str, Any], None]) -> None:
    kept, merged = enrolled(1), enrolled(2)
    created = api.post(f"{PERSONS}{kept.pk}/merge/", {"other": str(merged.pk)})
    fits("Merge", created.json())
    fits("Person", api.get(f"{PERSONS}{merged.pk}/").json())
    fits("Problem", api.patch(f"{PERSONS}{merged.pk}/", {"name": "Ada"}).json())
    fits("Merge", api.post(f"{created['Location']}undo/").json())
    fits("Person", api.get(f"{PERSONS}{merged.pk}/").json())


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "data", [fakes.photo(None), fakes.photo(1, 2), fakes.photo(1, dark=True), b"text", b""]
)
def test_problems_match_the_document(
    api: Program, enrolled: Enrol, data: bytes, fits: Callable[[str, Any], None]
) -> None:
    person = enrolled(1)
    response = api.send_photo(f"{PERSONS}{person.pk}/photos/", data)
    assert response.status_code >= 400
    fits("Problem", response.json())


def test_parameter_errors_match_the_document(api: Program, fits: Callable[[str, Any], None]) -> None:
    fits("Problem", api.send_photo(f"{IDENTIFY}?fpir=5", fakes.photo(1)).json())
