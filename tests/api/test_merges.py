from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from people import merging
from people.models import Collection, IdempotentAnswer, Merge, Person
from tests import fakes
from tests.actors import STAFF
from tests.api.program import IDENTIFY, Program, Response, problem

PERSONS = "/api/v1/collections/default/persons/"
Enrol = Callable[..., Person]


def merge(api: Program, kept: Person, merged: Person, **headers: str) -> Response:
    return api.post(f"{PERSONS}{kept.pk}/merge/", {"other": str(merged.pk)}, headers=headers)


def names(api: Program, query: str) -> list[str]:
    return [row["name"] for row in api.get(f"{PERSONS}?{query}").json()["results"]]


def test_two_people_are_merged_and_the_merge_is_undone(api: Program, enrolled: Enrol) -> None:
    kept, merged = enrolled(1), enrolled(2, 1, 2)
    created = merge(api, kept, merged)
    assert created.status_code == 201
    content = created.json()
    assert (content["kept"], content["merged"]) == (str(kept.pk), str(merged.pk))
    assert (content["photos"], content["undone_at"]) == (2, None)
    assert api.get(created["Location"]).json() == content

    result = api.send_photo(IDENTIFY, fakes.photo(2, variation=9)).json()
    assert result["collection_size"] == 1
    assert [candidate["person"]["id"] for candidate in result["faces"][0]["candidates"]] == [str(kept.pk)]
    assert api.get(f"{PERSONS}{kept.pk}/").json()["photos"] == 3

    undone = api.post(f"{created['Location']}undo/")
    assert undone.status_code == 200
    assert undone.json()["undone_at"] is not None
    assert api.get(created["Location"]).json() == undone.json()
    result = api.send_photo(IDENTIFY, fakes.photo(2, variation=9)).json()
    assert result["collection_size"] == 2
    assert result["faces"][0]["candidates"][0]["person"]["id"] == str(merged.pk)
    problem(api.post(f"{created['Location']}undo/"), 409, "merge_undone")


def test_a_merged_person_is_marked_and_listed_only_on_request(api: Program, enrolled: Enrol) -> None:
    first, kept = enrolled(1, name="Ada"), enrolled(2, name="Ada L.")
    merged = enrolled(3, name="A. Lovelace", external_id="emp-17")
    merge(api, kept, merged)
    merge(api, first, kept)
    content = api.get(f"{PERSONS}{merged.pk}/").json()
    assert (content["status"], content["merged_into"]) == ("merged", str(first.pk))
    assert (content["name"], content["external_id"], content["photos"]) == ("A. Lovelace", "emp-17", 0)
    assert api.get(f"{PERSONS}{first.pk}/").json()["merged_into"] is None
    assert names(api, "") == names(api, "status=active") == ["Ada"]
    assert names(api, "search=lovelace") == []
    assert names(api, "status=merged") == ["A. Lovelace", "Ada L."]
    # a client that looks up its own id sees the merge, and does not add the person a second time
    assert names(api, "external_id=emp-17") == ["A. Lovelace"]
    assert api.get("/api/v1/collections/default/").json()["persons"] == 1


def test_operations_on_a_merged_person_are_refused_with_the_id_of_the_kept_person(
    api: Program, enrolled: Enrol
) -> None:
    kept, merged, third = enrolled(1), enrolled(2), enrolled(3)
    merge(api, kept, merged)
    path = f"{PERSONS}{merged.pk}/"
    for response in (
        api.patch(path, {"name": "Ada"}),
        api.patch(path, {"status": "active"}),
        api.send_photo(f"{path}photos/", fakes.photo(2, variation=3)),
        api.send_photo(f"{path}verify/", fakes.photo(2)),
        merge(api, merged, third),
        merge(api, third, merged),
    ):
        assert problem(response, 409, "person_merged")["kept"] == str(kept.pk)


def test_setting_the_status_cannot_merge_a_person(api: Program, enrolled: Enrol) -> None:
    person = enrolled(1)
    for response in (
        api.patch(f"{PERSONS}{person.pk}/", {"status": "merged"}),
        api.post(PERSONS, {"status": "merged"}),
    ):
        assert "status" in problem(response, 400, "invalid")["errors"]
    assert list(Person.objects.values_list("status", flat=True)) == ["active"]


def test_people_who_cannot_be_merged_are_refused(api: Program, enrolled: Enrol) -> None:
    person = enrolled(1)
    person_in_second = enrolled(2, into=Collection.objects.create(name="second"))
    path = f"{PERSONS}{person.pk}/merge/"
    problem(merge(api, person, person), 409, "not_mergeable")
    problem(merge(api, person, person_in_second), 404, "not_found")
    problem(api.post(path, {"other": str(uuid4())}), 404, "not_found")
    bodies: list[Any] = [{}, {"other": "ada"}, {"other": None}, [], "text"]
    for body in bodies:
        problem(api.post(path, body), 400, "invalid")
    assert not Merge.objects.exists()


def test_a_merge_that_cannot_be_undone_is_refused(api: Program, enrolled: Enrol) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    inner, outer = merge(api, second, third), merge(api, first, second)
    refusal = problem(api.post(f"{inner['Location']}undo/"), 409, "undo_out_of_order")
    assert refusal["merge"] == outer.json()["id"]
    assert api.delete(f"{PERSONS}{third.pk}/").status_code == 202
    assert not Person.objects.exists()
    problem(api.post(f"{outer['Location']}undo/"), 409, "merged_erased")
    problem(api.post(f"/api/v1/merges/{uuid4()}/undo/"), 404, "not_found")


def test_a_key_of_one_collection_has_no_access_to_merges_of_another(
    program: Callable[..., Program], collection: Collection, enrolled: Enrol
) -> None:
    second = Collection.objects.create(name="second")
    record = merging.merge(enrolled(1, into=second), enrolled(2, into=second), actor=STAFF)
    api = program(collection=collection)
    for path in (f"/api/v1/merges/{record.pk}/", f"/api/v1/merges/{record.pk}/undo/"):
        method = api.post if path.endswith("undo/") else api.get
        problem(method(path), 404, "not_found")
    assert Merge.objects.get().undone_at is None


@pytest.mark.django_db(transaction=True)
def test_a_merge_and_an_undo_sent_twice_are_carried_out_once(api: Program, enrolled: Enrol) -> None:
    kept, merged = enrolled(1), enrolled(2)
    first, second = (merge(api, kept, merged, **{"Idempotency-Key": "m1"}) for _ in range(2))
    assert (second.status_code, second["Idempotent-Replayed"]) == (201, "true")
    assert (first.json(), first["Location"]) == (second.json(), second["Location"])
    assert Merge.objects.count() == 1
    undos = [api.post(f"{first['Location']}undo/", headers={"Idempotency-Key": "u1"}) for _ in range(2)]
    assert [response.status_code for response in undos] == [200, 200]
    assert undos[0].json() == undos[1].json()
    api.delete(f"{PERSONS}{kept.pk}/")
    assert not IdempotentAnswer.objects.exists()


def test_photos_have_no_warning_about_a_duplicate_that_was_merged(api: Program, enrolled: Enrol) -> None:
    kept, merged = enrolled(1, 1), enrolled(1, 2)
    (warned,) = api.get(f"{PERSONS}{merged.pk}/photos/").json()["results"]
    assert [warning["person"] for warning in warned["warnings"]] == [str(kept.pk)]
    created = merge(api, kept, merged)
    assert api.get(f"{PERSONS}{kept.pk}/photos/{warned['id']}/").json()["warnings"] == []
    api.post(f"{created['Location']}undo/")
    assert api.get(f"{PERSONS}{merged.pk}/photos/{warned['id']}/").json()["warnings"] == warned["warnings"]


def test_a_collection_has_retention_rules(api: Program) -> None:
    created = api.post(
        "/api/v1/collections/", {"name": "office", "retention": {"erase_unseen_after_days": 30}}
    )
    kept = {"erase_without_consent": False, "erase_unseen_after_days": 30}
    assert (created.status_code, created.json()["retention"]) == (201, kept)
    changed = api.patch(created["Location"], {"retention": {"erase_without_consent": True}}).json()
    assert changed["retention"] == {"erase_without_consent": True, "erase_unseen_after_days": 30}
    off = api.patch(created["Location"], {"retention": {"erase_unseen_after_days": None}}).json()
    assert off["retention"] == {"erase_without_consent": True, "erase_unseen_after_days": None}
    for days in (0, -1, 36_501, "soon", 1.5):
        wrong = api.patch(created["Location"], {"retention": {"erase_unseen_after_days": days}})
        assert "retention.erase_unseen_after_days" in problem(wrong, 400, "invalid")["errors"]
    problem(api.patch(created["Location"], {"retention": 30}), 400, "invalid")
