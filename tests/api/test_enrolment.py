from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from people import enrolment
from people.actors import WORKER
from people.models import AuditEvent, Collection, IdempotentAnswer, OutboxEntry, Person, Photo, Template
from tests import fakes, photo_samples
from tests.api.program import IDENTIFY, Program, problem
from tests.stored_files import stored_files

PERSONS = "/api/v1/collections/default/persons/"
BAD = photo_samples.bad()
STATUS = {
    "photo_empty": 400, "photo_too_large": 413, "not_an_image": 415, "unreadable_photo": 422,
    "too_many_pixels": 422,
}  # fmt: skip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(collection: Collection) -> Person:
    return Person.objects.create(collection=collection)


@pytest.fixture
def photos(person: Person) -> str:
    return f"{PERSONS}{person.pk}/photos/"


def _rows() -> tuple[int, ...]:
    pending = OutboxEntry.objects.filter(done_at=None)
    return (
        Photo.objects.count(),
        Template.objects.count(),
        pending.count(),
        IdempotentAnswer.objects.count(),
    )


@pytest.mark.usefixtures("worker")
def test_a_photo_enrolled_within_the_wait_is_returned_with_its_face(
    api: Program, photos: str, person: Person
) -> None:
    response = api.send_photo(photos, fakes.photo(1), Prefer="wait=5")
    assert response.status_code == 201
    assert response["Preference-Applied"] == "wait=5"
    content = response.json()
    assert (content["status"], content["person"], content["warnings"]) == ("accepted", str(person.pk), [])
    assert content["face"]["engine"] == "fake/1"
    assert content["face"]["box"] == {"left": 0, "top": 0, "width": 160, "height": 160}
    assert api.get(response["Location"]).json() == content
    assert api.get(photos).json()["results"] == [content]


def test_a_photo_that_takes_longer_than_the_wait_is_pending(
    api: Program, photos: str, work: Callable[[], None]
) -> None:
    response = api.send_photo(photos, fakes.photo(1), Prefer="wait=0")
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    work()
    assert api.get(response["Location"]).json()["status"] == "accepted"


def test_a_photo_rejected_after_the_wait_shows_its_reasons(
    api: Program, photos: str, work: Callable[[], None]
) -> None:
    response = api.send_photo(photos, fakes.photo(1, dark=True), Prefer="wait=0")
    work()
    content = api.get(response["Location"]).json()
    assert (content["status"], content["rejection"]["code"]) == ("rejected", "poor_quality")
    assert content["rejection"]["reasons"]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (fakes.photo(None), "no_face"),
        (fakes.photo(1, 2, 3, 4, 5), "several_faces"),
        (fakes.photo(1, dark=True), "poor_quality"),
    ],
)
def test_a_face_that_cannot_be_enrolled_is_refused_and_not_stored(
    api: Program, photos: str, data: bytes, code: str
) -> None:
    content = problem(api.send_photo(photos, data), 422, code)
    assert ("faces" in content) == (code == "several_faces")
    assert ("reasons" in content) == ("face" in content) == (code == "poor_quality")
    assert _rows() == (0, 0, 0, 0)
    assert stored_files() == []


@pytest.mark.parametrize("route", ["enrol", "identify"])
@pytest.mark.parametrize("name", BAD)
def test_each_bad_photo_has_its_own_problem_and_is_not_stored(
    api: Program, photos: str, name: str, route: str
) -> None:
    data, error = BAD[name]
    events = AuditEvent.objects.count()
    response = api.send_photo(photos if route == "enrol" else IDENTIFY, data, name="photo.jpg")
    problem(response, STATUS[error.code], error.code)
    assert _rows() == (0, 0, 0, 0)
    assert AuditEvent.objects.count() == events
    assert stored_files() == []


@pytest.mark.parametrize("name", photo_samples.good())
def test_each_unusual_photo_is_accepted(api: Program, name: str) -> None:
    response = api.send_photo("/api/v1/detect/", photo_samples.good()[name])
    assert response.status_code == 200, response.content


def test_a_missing_photo_is_reported(api: Program, photos: str) -> None:
    problem(api.post(photos, {}, format="multipart"), 400, "photo_missing")
    problem(api.post(photos, {}), 400, "photo_missing")


@pytest.mark.usefixtures("worker")
def test_the_same_photo_of_the_same_person_is_not_enrolled_again(api: Program, photos: str) -> None:
    first = api.send_photo(photos, fakes.photo(1))
    second = api.send_photo(photos, fakes.photo(1))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


@pytest.mark.usefixtures("worker")
def test_one_of_several_faces_can_be_chosen(api: Program, photos: str) -> None:
    faces = problem(api.send_photo(photos, fakes.photo(1, 2)), 422, "several_faces")["faces"]
    box = ",".join(str(faces[1][side]) for side in ("left", "top", "width", "height"))
    response = api.send_photo(f"{photos}?face={box}", fakes.photo(1, 2))
    assert response.json()["face"]["box"]["left"] == 160
    assert problem(api.send_photo(f"{photos}?face=left", fakes.photo(1)), 400, "invalid")["errors"]["face"]


@pytest.mark.usefixtures("worker")
def test_a_withdrawn_photo_is_deleted(api: Program, photos: str) -> None:
    location = api.send_photo(photos, fakes.photo(1))["Location"]
    assert api.delete(location).status_code == 204
    assert api.get(location).status_code == 404
    assert api.send_photo(IDENTIFY, fakes.photo(1)).json()["faces"][0]["decision"] == "no_match"


@pytest.mark.usefixtures("worker")
def test_enrolment_requires_consent_if_the_collection_does(api: Program, photos: str, person: Person) -> None:
    Collection.objects.update(requires_consent=True)
    problem(api.send_photo(photos, fakes.photo(1)), 422, "consent_missing")
    api.patch(f"{PERSONS}{person.pk}/", {"consent": {"given_at": "2026-01-01T00:00:00Z"}})
    assert api.send_photo(photos, fakes.photo(1)).status_code == 201


@pytest.mark.usefixtures("worker")
def test_an_erased_person_is_in_no_response(api: Program, photos: str, person: Person) -> None:
    api.send_photo(photos, fakes.photo(1))
    response = api.delete(f"{PERSONS}{person.pk}/")
    assert response.status_code == 202
    receipt = api.get(response["Location"]).json()
    assert (receipt["status"], receipt["photos"], receipt["templates"]) == ("complete", 1, 1)
    assert api.get(f"{PERSONS}{person.pk}/").status_code == 404
    assert api.get(PERSONS).json()["results"] == []
    result = api.send_photo(f"{IDENTIFY}?include_below=true", fakes.photo(1)).json()
    assert result["faces"][0]["candidates"] == []
    assert problem(api.delete(f"{PERSONS}{person.pk}/"), 404, "not_found")


def test_persons_are_created_read_changed_and_searched(api: Program, collection: Collection) -> None:
    created = api.post(PERSONS, {"external_id": "emp-17", "name": "Ada", "metadata": {"floor": 3}})
    assert created.status_code == 201
    content = created.json()
    assert (content["external_id"], content["status"], content["photos"]) == ("emp-17", "active", 0)
    assert content["consent"] == {"given_at": None, "expires_at": None}
    assert api.get(created["Location"]).json() == content
    api.post(PERSONS, {"name": "Bob"})
    changed = api.patch(created["Location"], {"status": "suspended", "name": "Ada L."}).json()
    assert (changed["status"], changed["name"], changed["metadata"]) == ("suspended", "Ada L.", {"floor": 3})

    def names(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"{PERSONS}?{query}").json()["results"]]

    assert names("") == ["Bob", "Ada L."]
    assert names("status=suspended") == ["Ada L."]
    assert names("external_id=emp-17") == ["Ada L."]
    assert names("search=bo") == ["Bob"]
    assert names("ordering=name") == ["Ada L.", "Bob"]
    assert names("created_after=2100-01-01T00:00:00Z") == []
    assert names("created_before=2100-01-01T00:00:00Z&page_size=1") == ["Bob"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"external_id": "a b"}, "external_id"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"metadata": {"text": "x" * 4096}}, "metadata"),
        ({"metadata": [1]}, "metadata"),
        ({"status": "gone"}, "status"),
        ({"consent": {"given_at": "yesterday"}}, "consent.given_at"),
        ({"consent": {"expires_at": "2027-01-01T00:00:00Z"}}, "consent_given_at"),
    ],
)
def test_an_invalid_field_of_a_person_is_named(
    api: Program, collection: Collection, body: dict[str, Any], field: str
) -> None:
    assert field in problem(api.post(PERSONS, body), 400, "invalid")["errors"]
    assert not Person.objects.exists()


def test_an_external_id_is_unique_in_a_collection(api: Program, collection: Collection) -> None:
    second = Collection.objects.create(name="second")
    assert api.post(PERSONS, {"external_id": "emp-17"}).status_code == 201
    problem(api.post(PERSONS, {"external_id": "emp-17"}), 409, "conflict")
    assert (
        api.post(f"/api/v1/collections/{second.name}/persons/", {"external_id": "emp-17"}).status_code == 201
    )


def test_pages_have_no_gaps_and_no_repeats(api: Program, collection: Collection) -> None:
    for number in range(7):
        Person.objects.create(collection=collection, name=str(number))
    seen, url = [], f"{PERSONS}?page_size=3"
    while url:
        page = api.get(url).json()
        seen += [row["name"] for row in page["results"]]
        url = page["next"]
    assert seen == [str(number) for number in reversed(range(7))]


def test_collections_are_created_changed_and_deleted_with_their_people(
    api: Program, work: Callable[[], None]
) -> None:
    created = api.post("/api/v1/collections/", {"name": "office", "fpir": 0.001})
    assert (created.status_code, created.json()["persons"]) == (201, 0)
    problem(api.post("/api/v1/collections/", {"name": "office"}), 409, "conflict")
    problem(api.post("/api/v1/collections/", {"name": "of fice"}), 400, "invalid")
    problem(api.patch(created["Location"], {"min_similarity": 80}), 400, "invalid")
    refused = problem(
        api.patch(created["Location"], {"min_similarity": 80, "name": "renamed"}), 400, "invalid"
    )
    assert list(refused["errors"]) == ["name"]
    changed = api.patch(created["Location"], {"fpir": None, "min_similarity": 80}).json()
    assert (changed["name"], changed["min_similarity"]) == ("office", 80)
    api.post(f"{created['Location']}persons/", {"name": "Ada"})
    assert api.get(created["Location"]).json()["persons"] == 1
    assert api.delete(created["Location"]).status_code == 204
    assert not Person.objects.exists()
    assert api.get(created["Location"]).status_code == 404


@pytest.mark.usefixtures("worker")
def test_a_request_repeated_with_its_idempotency_key_is_carried_out_once(
    api: Program, photos: str, collection: Collection
) -> None:
    first = api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    second = api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    assert (second.status_code, second["Idempotent-Replayed"]) == (201, "true")
    assert (first.json(), first["Location"]) == (second.json(), second["Location"])
    assert Person.objects.filter(name="Ada").count() == 1
    different = api.post(PERSONS, {"name": "Bob"}, headers={"Idempotency-Key": "k1"})
    problem(different, 409, "idempotency_conflict")
    keyed = {"Idempotency-Key": "k2"}
    assert [api.send_photo(photos, fakes.photo(1), **keyed).status_code for _ in range(2)] == [201, 201]
    problem(api.send_photo(photos, fakes.photo(2), **keyed), 409, "idempotency_conflict")
    problem(api.post(PERSONS, {}, headers={"Idempotency-Key": "é"}), 400, "invalid")


def test_a_request_in_progress_is_not_carried_out_again(api: Program, collection: Collection) -> None:
    api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    IdempotentAnswer.objects.update(status=None)
    response = api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    problem(response, 409, "idempotency_in_progress")


def test_a_failed_request_can_be_repeated_with_the_same_key(api: Program, collection: Collection) -> None:
    keyed = {"Idempotency-Key": "k1"}
    assert api.post(PERSONS, {"status": "gone"}, headers=keyed).status_code == 400
    assert api.post(PERSONS, {"status": "active"}, headers=keyed).status_code == 201


def test_a_stored_response_is_erased_with_its_person(api: Program, collection: Collection) -> None:
    created = api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    assert api.delete(created["Location"]).status_code == 202
    assert not IdempotentAnswer.objects.exists()
    again = api.post(PERSONS, {"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    assert again.status_code == 201
    assert again.json()["id"] != created.json()["id"]


def test_a_photo_deleted_while_the_client_waits_returns_404(
    api: Program, photos: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = enrolment.submit

    def submit_and_withdraw(*args: Any, **kwargs: Any) -> Any:
        submission = submit(*args, **kwargs)
        enrolment.withdraw(submission.photo, actor=WORKER)
        return submission

    monkeypatch.setattr(enrolment, "submit", submit_and_withdraw)
    problem(api.send_photo(photos, fakes.photo(1)), 404, "not_found")
