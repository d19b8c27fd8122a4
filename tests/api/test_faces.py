from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from people.errors import IndexUnavailable
from people.models import Collection, Person, Photo
from tests import fakes
from tests.api.program import IDENTIFY, Program, problem

Enrol = Callable[..., Person]


def test_identify_returns_the_person_of_each_face(api: Program, enrolled: Enrol) -> None:
    person = enrolled(1, external_id="emp-17", name="Ada")
    enrolled(2)
    response = api.send_photo(f"{IDENTIFY}?include_below=true", fakes.photo(1, 9, variation=3))
    assert response.status_code == 200
    content = response.json()
    assert content["request_id"] == response["X-Request-ID"]
    assert (content["engine"], content["degraded"], content["collection_size"]) == ("fake/1", False, 2)
    assert content["threshold"] == {"fpir": 0.01, "fmr": 0.0001, "cosine": 0.453, "similarity": 80.0}
    first, second = content["faces"]
    assert first["box"] == {"left": 0, "top": 0, "width": 160, "height": 160}
    assert first["relative"] == {"left": 0.0, "top": 0.0, "width": 0.5, "height": 1.0}
    assert set(first["landmarks"]) == {"left_eye", "right_eye", "nose", "mouth_left", "mouth_right"}
    assert first["quality"]["verdict"] == "good"
    assert first["decision"] == "match"
    best = first["candidates"][0]
    assert best["person"] == {"id": str(person.pk), "external_id": "emp-17", "name": "Ada"}
    assert best["match"] is True
    assert best["photo"] == str(person.photos.get().pk)
    assert 80 < best["similarity"] <= 100
    assert second["decision"] == "no_match"
    assert [candidate["match"] for candidate in second["candidates"]] == [False, False]


def test_a_photo_without_a_face_returns_no_faces(api: Program) -> None:
    assert api.send_photo(IDENTIFY, fakes.photo(None)).json()["faces"] == []


def test_a_photo_can_be_sent_in_base64(api: Program, enrolled: Enrol) -> None:
    enrolled(1)
    text = base64.b64encode(fakes.photo(1)).decode()
    response = api.post(IDENTIFY, {"photo": {"base64": text}})
    assert response.json()["faces"][0]["decision"] == "match"


def test_a_skipped_face_has_reasons(api: Program) -> None:
    (skipped,) = api.send_photo(IDENTIFY, fakes.photo(1, dark=True)).json()["skipped_faces"]
    assert {"code", "measured", "required", "hint"} == set(skipped["reasons"][0])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("max_candidates=0", "max_candidates"),
        ("max_faces=many", "max_faces"),
        ("fpir=2", "fpir"),
        ("fpir=0.01&fmr=0.001", "fmr"),
        ("quality=best", "quality"),
        ("include_below=yes", "include_below"),
        ("include_below=1", "include_below"),
        ("min_similarty=90", "min_similarty"),
        ("fpir=0.1&fpir=0.01", "fpir"),
    ],
)
def test_an_invalid_parameter_is_named(api: Program, query: str, field: str) -> None:
    response = api.send_photo(f"{IDENTIFY}?{query}", fakes.photo(1))
    assert field in problem(response, 400, "invalid")["errors"]


def test_the_parameter_value_false_is_false(api: Program, enrolled: Enrol) -> None:
    enrolled(1)
    response = api.send_photo(f"{IDENTIFY}?include_below=false", fakes.photo(9))
    assert response.json()["faces"][0]["candidates"] == []


def test_a_request_may_set_its_own_threshold(api: Program, enrolled: Enrol) -> None:
    enrolled(1)
    content = api.send_photo(f"{IDENTIFY}?min_similarity=100", fakes.photo(1, variation=2)).json()
    assert content["threshold"]["similarity"] == 100
    assert content["faces"][0]["decision"] == "no_match"


@pytest.mark.parametrize(
    "body",
    [
        {"photo": {"base64": "§§§"}},
        {"photo": {"base64": "data:image/png;base64,AAAA"}},
        {"photo": "https://example.org/photo.jpg"},
        {"photo": {"url": "https://example.org/photo.jpg"}},
        {"photo": {"base64": 5}},
        {"photo": None, "other": 1},
        [1],
    ],
)
def test_json_without_a_valid_photo_is_refused(api: Program, body: Any) -> None:
    response = api.post(IDENTIFY, body)
    assert response.status_code == 400
    assert response.json()["code"] in ("invalid", "photo_missing")


def test_malformed_json_and_other_types_have_different_codes(api: Program) -> None:
    problem(api.generic("POST", IDENTIFY, "{", content_type="application/json"), 400, "malformed")
    response = api.generic("POST", IDENTIFY, "x", content_type="image/jpeg")
    problem(response, 415, "unsupported_media_type")


def test_verify_compares_with_one_person(api: Program, enrolled: Enrol) -> None:
    person = enrolled(1)
    path = f"/api/v1/collections/default/persons/{person.pk}/verify/"
    verification = api.send_photo(path, fakes.photo(1, variation=1)).json()
    assert (verification["match"], verification["threshold"]["fmr"]) == (True, 0.0001)
    assert verification["photo"] == str(person.photos.get().pk)
    assert api.send_photo(path, fakes.photo(2)).json()["match"] is False
    problem(api.send_photo(path, fakes.photo(None)), 422, "no_face")
    rejection = problem(api.send_photo(path, fakes.photo(2, 1)), 422, "several_faces")
    box = rejection["faces"][1]
    path_with_face = f"{path}?face={box['left']},{box['top']},{box['width']},{box['height']}"
    assert api.send_photo(path_with_face, fakes.photo(2, 1)).json()["match"] is True
    problem(api.send_photo(f"{path}?face=900,900,10,10", fakes.photo(2, 1)), 422, "face_not_there")


def test_a_person_without_a_photo_is_not_enrolled(api: Program, collection: Collection) -> None:
    person = Person.objects.create(collection=collection)
    response = api.send_photo(f"/api/v1/collections/default/persons/{person.pk}/verify/", fakes.photo(1))
    problem(response, 409, "not_enrolled")


def test_compare_and_detect_need_no_collection(api: Program) -> None:
    pair = {
        "source": {"base64": base64.b64encode(fakes.photo(1)).decode()},
        "target": {"base64": base64.b64encode(fakes.photo(2, 1)).decode()},
    }
    comparison = api.post("/api/v1/compare/", pair).json()
    assert [face["match"] for face in comparison["faces"]] == [False, True]
    assert len(api.send_photo("/api/v1/detect/", fakes.photo(1, 2, 3)).json()["faces"]) == 3
    assert Photo.objects.count() == 0


def test_the_engine_lists_its_thresholds(api: Program) -> None:
    content = api.get("/api/v1/engine/").json()
    assert (content["engine"], content["dimension"]) == ("fake/1", 64)
    assert {"fmr": 0.0001, "cosine": 0.453, "similarity": 80.0} in content["thresholds"]


def test_an_unavailable_index_returns_503(api: Program, enrolled: Enrol) -> None:
    enrolled(1)
    with override_settings(TEMPLATE_INDEX={"BACKEND": "tests.api.test_faces.DownIndex", "OPTIONS": {}}):
        response = api.send_photo(IDENTIFY, fakes.photo(1))
    problem(response, 503, "index_unavailable")
    assert int(response["Retry-After"]) > 0


class DownIndex:
    """An index that is unavailable."""

    def nearest(self, *args: Any, **kwargs: Any) -> Any:
        raise IndexUnavailable


def test_an_internal_error_has_a_request_id_and_no_details(
    api: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a secret inside")

    monkeypatch.setattr("people.identification.identify", fail)
    response = api.send_photo(IDENTIFY, fakes.photo(1))
    problem(response, 500, "internal_error")
    assert b"secret" not in response.content


def test_unknown_paths_and_methods_are_problem_documents(api: Program) -> None:
    problem(api.get("/api/v1/nothing/"), 404, "not_found")
    problem(api.put(IDENTIFY, {}), 405, "method_not_allowed")
