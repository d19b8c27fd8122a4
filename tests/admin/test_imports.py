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


def _starts(page: Client, collection: Collection, **fields: Any) -> Any:
    return page.post(reverse(START), {"collection": str(collection.pk), **fields}, follow=True)


def _archive(files: dict[str, bytes]) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.zip", zipped(files).getvalue())


def test_staff_import_an_archive_and_see_every_result(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    files = {**PEOPLE, "eve/dark.png": fakes.photo(3, dark=True)}
    answer = _starts(page, collection, archive=_archive(files))
    assert "waiting for the worker" in answer.content.decode()
    assert "data-running" in answer.content.decode()
    work()
    shown = page.get(answer.redirect_chain[-1][0]).content.decode()
    assert "4 of 4 files done" in shown
    assert "data-running" not in shown
    assert "ada/1.png" in shown
    assert "Low brightness" in shown
    assert reverse("admin:people_person_change", args=[Person.objects.get(external_id="bob").pk]) in shown
    rejected = page.get(f"{answer.redirect_chain[-1][0]}?state=rejected").content.decode()
    assert "eve/dark.png" in rejected
    assert "ada/1.png" not in rejected
    listed = page.get(reverse("admin:people_importjob_changelist")).content.decode()
    assert "4 of 4" in listed


def test_a_dry_run_says_how_many_would_be_created(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    answer = _starts(page, collection, archive=_archive(PEOPLE), dry_run="on")
    work()
    shown = page.get(answer.redirect_chain[-1][0]).content.decode()
    assert "2 people would be created" in shown
    assert not Person.objects.exists()


def test_mistakes_of_people_csv_are_shown_with_their_lines(
    page: Client, collection: Collection, work: Callable[[], None]
) -> None:
    files = {**PEOPLE, "people.csv": b"folder,external_id\nada,<b>\n"}
    answer = _starts(page, collection, archive=_archive(files))
    work()
    shown = page.get(answer.redirect_chain[-1][0]).content.decode()
    assert "line 2: " in shown


def test_a_name_in_an_archive_can_not_write_into_the_page(page: Client, collection: Collection) -> None:
    job = run({"ada/<script>1.png": fakes.photo(1)}, collection)
    shown = page.get(reverse("admin:people_importjob_change", args=[job.pk])).content.decode()
    assert "ada/&lt;script&gt;1.png" in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Choose a ZIP archive"),
        ({"archive": SimpleUploadedFile("x.zip", b"x")}, "not a ZIP archive"),
        ({"archive": SimpleUploadedFile("x.zip", b"")}, "not a ZIP archive"),
    ],
)
def test_what_can_not_be_imported_is_told_at_the_form(
    page: Client, collection: Collection, fields: dict[str, Any], told: str
) -> None:
    assert told in _starts(page, collection, **fields).content.decode()
    assert not ImportJob.objects.exists()


def test_an_archive_beyond_the_limit_is_told_at_the_form(
    page: Client, collection: Collection, settings: Any
) -> None:
    settings.FACEREC_IMPORT_MAX_MB = 1
    answer = _starts(page, collection, archive=_archive({"ada/1.png": bytes(1_000_001)}))
    assert "larger than this service accepts" in answer.content.decode()


def test_staff_import_a_prefix_of_an_allowed_bucket(
    page: Client, collection: Collection, s3: S3Client, work: Callable[[], None]
) -> None:
    s3.put_object(Bucket="inbox", Key="staff/ada/1.png", Body=fakes.photo(1))
    both = _starts(page, collection, archive=_archive(PEOPLE), bucket="inbox", folder="staff")
    assert "Choose one" in both.content.decode()
    assert _starts(page, collection, bucket="other", folder="").status_code == 200
    assert not ImportJob.objects.exists()
    _starts(page, collection, bucket="inbox", folder="staff")
    work()
    assert [person.external_id for person in Person.objects.all()] == ["ada"]


def test_staff_cancel_an_import(page: Client, collection: Collection) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    url = reverse("admin:import_cancel", args=[job.pk])
    assert page.get(url).status_code == 403
    assert "was cancelled" in page.post(url, follow=True).content.decode()
    assert "already ended" in page.post(url, follow=True).content.decode()


def test_an_erased_person_is_named_on_no_page_of_an_import(page: Client, collection: Collection) -> None:
    job = run(PEOPLE, collection)
    erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)
    shown = page.get(reverse("admin:people_importjob_change", args=[job.pk])).content.decode()
    assert "ada" not in shown.replace("metadata", "")
    assert "(erased)" in shown


def test_imports_are_closed_to_staff_who_may_not_add_people_and_photos(
    page_of: Callable[..., Client], collection: Collection
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    for page in (page_of("add_photo", "view_person"), page_of("add_person"), page_of("view_importjob")):
        assert page.get(reverse(START)).status_code == 403
        assert _starts(page, collection, archive=_archive(PEOPLE)).status_code == 403
        assert page.get(reverse("admin:people_importjob_change", args=[job.pk])).status_code == 403
        assert page.get(reverse("admin:people_importjob_changelist")).status_code == 403
        assert page.post(reverse("admin:import_cancel", args=[job.pk])).status_code == 403
    assert page_of("add_photo", "add_person").get(reverse(START)).status_code == 200


def test_an_import_is_not_started_without_the_forms_token(staff: Any, collection: Collection) -> None:
    page = Client(enforce_csrf_checks=True)
    page.force_login(staff)
    assert _starts(page, collection, archive=_archive(PEOPLE)).status_code == 403
    token = page.get(reverse(START)).context["csrf_token"]
    answer = _starts(page, collection, archive=_archive(PEOPLE), csrfmiddlewaretoken=str(token))
    assert answer.status_code == 200
    assert ImportJob.objects.count() == 1
