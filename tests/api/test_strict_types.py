"""Values whose type differs from the document's are refused, and never converted."""

from __future__ import annotations

from typing import Any

import pytest

from people.models import Collection, Person
from tests.api.program import Program

COLLECTIONS = "/api/v1/collections/"
PERSONS = f"{COLLECTIONS}default/persons/"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5), ("name", True), ("name", None), ("name", "."), ("name", ".."), ("name", "a b"),
        ("name", "a\n"), ("name", " a"), ("name", ""), ("description", 5), ("requires_consent", "yes"),
        ("requires_consent", 1), ("requires_consent", "true"), ("requires_consent", None), ("fpir", "0.1"),
        ("fpir", True), ("fpir", 0), ("retention.erase_unseen_after_days", "5"),
        ("retention.erase_unseen_after_days", 1.5), ("retention.erase_unseen_after_days", True),
        ("retention", []), ("retention", "x"),
    ],
)  # fmt: skip
def test_a_collection_takes_values_of_the_documented_types(api: Program, field: str, value: Any) -> None:
    outer, _, inner = field.partition(".")
    response = api.post(COLLECTIONS, {"name": "new", outer: {inner: value} if inner else value})
    assert response.status_code == 400, response.json()
    assert [name.removesuffix(".request") for name in response.json()["errors"]] in (
        [field],
        [f"{field}.non_field_errors"],
    )
    assert Collection.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5), ("name", None), ("name", ["Ada"]), ("external_id", 5), ("external_id", "a b"),
        ("external_id", " emp"), ("external_id", "emp\n"), ("metadata", []), ("metadata", "{}"),
        ("metadata", None), ("status", "merged"), ("status", True), ("consent", None), ("consent", "yes"),
        ("consent.given_at", 5), ("consent.given_at", "yesterday"),
    ],
)  # fmt: skip
def test_a_person_takes_values_of_the_documented_types(api: Program, field: str, value: Any) -> None:
    outer, _, inner = field.partition(".")
    response = api.post(PERSONS, {outer: {inner: value} if inner else value})
    assert response.status_code == 400, response.json()
    assert [name.removesuffix(".non_field_errors") for name in response.json()["errors"]] == [field]
    assert not Person.objects.exists()


@pytest.mark.parametrize("other", [5, True, None, "", "x", [], {}])
def test_a_merge_takes_the_uuid_of_the_other_person(api: Program, collection: Collection, other: Any) -> None:
    person = Person.objects.create(collection=collection)
    response = api.post(f"{PERSONS}{person.pk}/merge/", {"other": other})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["other"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fmr", "nan"), ("fmr", "inf"), ("fmr", "1_0"), ("fmr", "0,1"), ("fmr", "%20.1"), ("fmr", "1e-999"),
        ("fpir", "nan"), ("min_similarity", "nan"), ("min_similarity", "1e999"), ("max_faces", "1_0"),
        ("max_faces", "5.0"), ("max_faces", "%D9%A1"), ("include_below", "1"), ("include_below", "True"),
        ("quality", "AUTO"),
    ],
)  # fmt: skip
def test_a_query_takes_values_of_the_documented_types(
    api: Program, collection: Collection, name: str, value: str
) -> None:
    response = api.post(f"{COLLECTIONS}default/identify/?{name}={value}", {"photo": {"base64": "AAAA"}})
    assert (response.status_code, list(response.json()["errors"])) == (400, [name])
