from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from people import erasure
from people.imports import jobs
from people.models import Collection, ImportJob, Person
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, run, zipped

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START = "admin:people_importjob_add"


def _start(page: Client, collection: Collection, **fields: Any) -> Any:
    return page.post(reverse(START), {"collection": str(collection.pk), **fields}, follow=True)


def _archive(files: dict[str, bytes]) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.zip", zipped(files).getvalue())


def test_staff_import_an_archive_and_see_every_result(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    files = {**PEOPLE, "eve/dark.png": fakes.photo(3, dark=True)}
    response = _start(page, collection, archive=_archive(files))
    assert "waiting for a worker" in response.content.decode()
    assert "data-running" in response.content.decode()
    work()
    content = page.get(response.redirect_chain[-1][0]).content.decode()
    assert "4 of 4 files done" in content
    assert "data-running" not in content
    assert "ada/1.png" in content
    assert "Low brightness" in content
    assert reverse("admin:people_person_change", args=[Person.objects.get(external_id="bob").pk]) in content
    rejected_content = page.get(f"{response.redirect_chain[-1][0]}?state=rejected").content.decode()
    assert "eve/dark.png" in rejected_content
    assert "ada/1.png" not in rejected_content
    list_content = page.get(reverse("admin:people_importjob_changelist")).content.decode()
    assert "4 of 4" in list_content


def test_results_are_worded_for_staff(page: Client, collection: Collection, work: Callable[[], None]) -> None:
    files = {
        "ada/1.png": fakes.photo(1),
        "ada/2.png": fakes.photo(1),
        "bob/two.png": fakes.photo(2, 3),
        "eve/dark.png": fakes.photo(4, dark=True),
    }
    response = _start(page, collection, archive=_archive(files))
    work()
    content = page.get(response.redirect_chain[-1][0]).content.decode()
    assert "already enrolled</span>" in content
    assert "The face is not clear enough to enrol." in content
    # the parameters and members of the API
    assert "`" not in content


def test_a_dry_run_says_how_many_would_be_created(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    response = _start(page, collection, archive=_archive(PEOPLE), dry_run="on")
    work()
    content = page.get(response.redirect_chain[-1][0]).content.decode()
    assert "2 people would be created" in content
    assert not Person.objects.exists()


def test_mistakes_in_people_csv_are_shown_with_their_lines(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    files = {**PEOPLE, "people.csv": b"folder,external_id\nada,<b>\n"}
    response = _start(page, collection, archive=_archive(files))
    work()
    content = page.get(response.redirect_chain[-1][0]).content.decode()
    assert "line 2: " in content


def test_file_names_are_escaped(page: Client, collection: Collection) -> None:
    job = run({"ada/<script>1.png": fakes.photo(1)}, collection)
    content = page.get(reverse("admin:people_importjob_change", args=[job.pk])).content.decode()
    assert "ada/&lt;script&gt;1.png" in content


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "Choose a ZIP archive"),
        ({"archive": SimpleUploadedFile("x.zip", b"x")}, "not a ZIP archive"),
        ({"archive": SimpleUploadedFile("x.zip", b"")}, "not a ZIP archive"),
    ],
)
def test_a_source_that_cannot_be_imported_is_an_error_of_the_form(
    page: Client, collection: Collection, fields: dict[str, Any], error: str
) -> None:
    assert error in _start(page, collection, **fields).content.decode()
    assert not ImportJob.objects.exists()


def test_an_archive_beyond_the_limit_is_refused_with_a_message(
    page: Client, collection: Collection, settings: Any
) -> None:
    settings.FACEREC_IMPORT_MAX_MB = 1
    response = _start(page, collection, archive=_archive({"ada/1.png": bytes(1_000_001)}))
    assert "larger than this service accepts" in response.content.decode()


def test_staff_import_a_prefix_of_an_allowed_bucket(
    page: Client, collection: Collection, s3: S3Client, work: Callable[[], None]
) -> None:
    s3.put_object(Bucket="inbox", Key="staff/ada/1.png", Body=fakes.photo(1))
    response = _start(page, collection, archive=_archive(PEOPLE), bucket="inbox", folder="staff")
    assert "Choose either" in response.content.decode()
    assert _start(page, collection, bucket="other", folder="").status_code == 200
    assert not ImportJob.objects.exists()
    _start(page, collection, bucket="inbox", folder="staff")
    work()
    assert [person.external_id for person in Person.objects.all()] == ["ada"]


def test_staff_cancel_an_import(page: Client, collection: Collection) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    url = reverse("admin:import_cancel", args=[job.pk])
    assert page.get(url).status_code == 403
    assert "was cancelled" in page.post(url, follow=True).content.decode()
    assert "already finished" in page.post(url, follow=True).content.decode()


def test_an_import_no_longer_names_an_erased_person(page: Client, collection: Collection) -> None:
    job = run(PEOPLE, collection)
    erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)
    content = page.get(reverse("admin:people_importjob_change", args=[job.pk])).content.decode()
    assert "ada" not in content.replace("metadata", "")
    assert "(erased)" in content


def test_imports_require_permission_to_add_people_and_photos(
    page_of: Callable[..., Client], collection: Collection
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    for page in (page_of("add_photo", "view_person"), page_of("add_person"), page_of("view_importjob")):
        assert page.get(reverse(START)).status_code == 403
        assert _start(page, collection, archive=_archive(PEOPLE)).status_code == 403
        assert page.get(reverse("admin:people_importjob_change", args=[job.pk])).status_code == 403
        assert page.get(reverse("admin:people_importjob_changelist")).status_code == 403
        assert page.post(reverse("admin:import_cancel", args=[job.pk])).status_code == 403
    assert page_of("add_photo", "add_person").get(reverse(START)).status_code == 200


def test_an_import_is_not_started_without_a_csrf_token(staff: Any, collection: Collection) -> None:
    page = Client(enforce_csrf_checks=True)
    page.force_login(staff)
    assert _start(page, collection, archive=_archive(PEOPLE)).status_code == 403
    token = page.get(reverse(START)).context["csrf_token"]
    response = _start(page, collection, archive=_archive(PEOPLE), csrfmiddlewaretoken=str(token))
    assert response.status_code == 200
    assert ImportJob.objects.count() == 1
