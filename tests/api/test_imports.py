from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from people.models import Collection, ImportJob, Person
from tests import fakes
from tests.api.program import Program, Response
from tests.importing import PEOPLE, zipped
from tests.stored_files import stored_files

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IMPORTS = "/api/v1/collections/default/imports/"


def _send(api: Program, files: dict[str, bytes], query: str = "", **headers: str) -> Response:
    archive = SimpleUploadedFile("people.zip", zipped(files).getvalue())
    return api.post(f"{IMPORTS}{query}", {"archive": archive}, format="multipart", headers=headers)


def test_an_archive_is_imported_and_every_file_has_a_result(
    api: Program,
    work: Callable[[], None],
    fits: Callable[[str, Any], None],
) -> None:
    files = {**PEOPLE, "eve/dark.png": fakes.photo(3, dark=True), "x.png": b""}
    started = _send(api, files)
    assert started.status_code == 202, started.json()
    assert (started.json()["state"], started.json()["total"]) == ("pending", 0)
    work()
    finished = api.get(started["Location"])
    fits("Import", finished.json())
    assert (finished.json()["state"], finished.json()["total"]) == ("complete", 5)
    assert finished.json()["counts"] == {"pending": 0, "enrolled": 3, "known": 0, "rejected": 1, "skipped": 1}

    items = api.get(f"{started['Location']}items/?page_size=3").json()
    assert [item["path"] for item in items["results"]] == ["x.png", "ada/1.png", "ada/2.png"]
    next_results = api.get(items["next"]).json()["results"]
    assert [item["path"] for item in next_results] == ["bob/1.png", "eve/dark.png"]
    for item in items["results"] + next_results:
        fits("ImportItem", item)
    photo = items["results"][1]
    persons = "/api/v1/collections/default/persons/"
    assert api.get(f"{persons}{photo['person']}/photos/{photo['photo']}/").json()["status"] == "accepted"
    (dark,) = api.get(f"{started['Location']}items/?state=rejected").json()["results"]
    assert (dark["external_id"], dark["problem"]["code"]) == ("eve", "poor_quality")
    assert dark["problem"]["reasons"]

    (listed,) = api.get(IMPORTS).json()["results"]
    assert listed == finished.json()
    work()
    assert [name for name in stored_files() if name.startswith("imports/")] == []


def test_a_dry_run_enrols_nobody(api: Program, work: Callable[[], None]) -> None:
    started = _send(api, PEOPLE, "?dry_run=true")
    work()
    finished = api.get(started["Location"]).json()
    assert (finished["dry_run"], finished["counts"]["enrolled"], finished["persons_to_create"]) == (
        True,
        3,
        2,
    )
    assert not Person.objects.exists()
    assert api.get(f"{started['Location']}items/").json()["results"][0]["photo"] is None


def test_a_failed_import_says_why(
    api: Program,
    work: Callable[[], None],
    fits: Callable[[str, Any], None],
) -> None:
    started = _send(api, {**PEOPLE, "people.csv": b"folder,age\nada,7\n"})
    work()
    finished = api.get(started["Location"]).json()
    fits("Import", finished)
    assert (finished["state"], finished["problem"]["code"]) == ("failed", "people_csv_invalid")
    assert "'age'" in finished["problem"]["errors"]["people.csv"][0]


def test_the_same_request_sent_twice_is_one_import(api: Program) -> None:
    first, second = (_send(api, PEOPLE, **{"Idempotency-Key": "1"}) for _ in range(2))
    assert first.json() == second.json()
    assert ImportJob.objects.count() == 1
    different = _send(api, {"ada/1.png": b"x"}, **{"Idempotency-Key": "1"})
    assert different.status_code == 409


def test_an_import_is_cancelled_once(api: Program, work: Callable[[], None]) -> None:
    started = _send(api, PEOPLE)
    for _ in range(2):
        response = api.post(f"{started['Location']}cancel/")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    work()
    assert not Person.objects.exists()
    assert stored_files() == []
    ended = _send(api, PEOPLE)
    work()
    response = api.post(f"{ended['Location']}cancel/")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


def test_an_archive_beyond_the_limit_is_refused_and_not_stored(api: Program, settings: Any) -> None:
    settings.FACEREC_IMPORT_MAX_MB = 1
    for size in (1_000_001, 3_000_000):  # refused by counting the bytes, and by the Content-Length
        response = _send(api, {"ada/1.png": bytes(size)})
        assert (response.status_code, response.json()["code"]) == (413, "archive_too_large")
    assert stored_files() == []


@pytest.mark.parametrize("data", [b"not an archive", b"PK\3\4 but no more"])
def test_a_file_that_is_not_an_archive_is_refused_immediately(api: Program, data: bytes) -> None:
    response = api.post(IMPORTS, {"archive": SimpleUploadedFile("x.zip", data)}, format="multipart")
    assert (response.status_code, response.json()["code"]) == (422, "archive_unreadable")


@pytest.mark.parametrize(
    "body",
    [{}, [], {"s3": "s3://inbox/"}, {"s3": {"bucket": "inbox"}}, {"url": "https://example.org/x.zip"},
     {"archive": "x"}, {"s3": {"bucket": "inbox", "prefix": ""}, "more": 1}],
)  # fmt: skip
def test_an_invalid_source_is_refused_by_field(api: Program, body: Any) -> None:
    response = api.post(IMPORTS, body)
    assert response.status_code == 400
    assert response.json()["errors"].keys() & {"archive", "more", "request", "url"}


def test_unknown_parameters_and_states_are_refused(api: Program) -> None:
    assert _send(api, PEOPLE, "?dryrun=true").status_code == 400
    assert _send(api, PEOPLE, "?dry_run=yes").status_code == 400
    started = _send(api, PEOPLE)
    assert api.get(f"{started['Location']}items/?state=lost").status_code == 400


def test_a_prefix_of_an_allowed_bucket_is_imported(
    api: Program, s3: S3Client, work: Callable[[], None]
) -> None:
    s3.put_object(Bucket="inbox", Key="staff/ada/1.png", Body=fakes.photo(1))
    started = api.post(IMPORTS, {"s3": {"bucket": "inbox", "prefix": "staff/"}})
    assert (started.status_code, started.json()["location"]) == (202, "s3://inbox/staff/")
    work()
    assert api.get(started["Location"]).json()["counts"]["enrolled"] == 1
    for prefix, status in (("\ud800", 400), ("a\0b", 400), ("x" * 2000, 422)):
        body = json.dumps({"s3": {"bucket": "inbox", "prefix": prefix}})  # escaped, as programs send it
        assert api.post(IMPORTS, body, content_type="application/json").status_code == status
    refused = api.post(IMPORTS, {"s3": {"bucket": "other", "prefix": ""}})
    assert (refused.status_code, refused.json()["code"]) == (400, "bucket_not_allowed")


def test_imports_need_the_scope_and_access_to_their_collection(
    api: Program, program: Callable[..., Program]
) -> None:
    started = _send(api, PEOPLE)
    assert _send(program("identify", "detect", "manage"), PEOPLE).status_code == 403
    second = program("enrol", collection=Collection.objects.create(name="second"))
    assert _send(second, PEOPLE).status_code == 404
    for path in ("", "items/"):
        assert second.get(f"{started['Location']}{path}").status_code == 404
        in_second = started["Location"].replace("/default/", "/second/")
        assert second.get(f"{in_second}{path}").status_code == 404
    assert second.post(f"{started['Location']}cancel/").status_code == 404
