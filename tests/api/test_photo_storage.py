"""A photo storage that can't be written to: photos are refused with a 503, and leave nothing behind."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from people.errors import StorageUnavailable
from people.models import Collection, ImportJob, OutboxEntry, Person, Photo
from people.models.photo import photo_storage
from tests import fakes
from tests.api.program import Program, Response
from tests.importing import PEOPLE, zipped

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOT_WRITABLE = Path("/sys")
"""A folder of Linux itself, in which no file can be created."""


def _store_in(settings: Any, location: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "people.photo_folder.PhotoFolder",
            "OPTIONS": {"location": location},
        },
    }


def _store_in_bucket(settings: Any, bucket: str) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "people.s3.photo_storage.S3PhotoStorage", "OPTIONS": {"bucket_name": bucket}},
    }


def _is_unavailable(response: Response) -> None:
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable"), response.content
    assert response["Retry-After"] == "5"


def _ready(client: Client) -> tuple[int, str, str]:
    response = client.get("/ready")
    return response.status_code, response.json()["status"], response.json()["storage"]


@pytest.fixture
def person(collection: Collection) -> Person:
    return Person.objects.create(collection=collection)


def test_photos_are_refused_with_a_503_while_their_folder_is_not_writable(
    api: Program, person: Person, settings: Any, work: Callable[[], None]
) -> None:
    _store_in(settings, NOT_WRITABLE / "facerec")
    path = f"/api/v1/collections/default/persons/{person.pk}/photos/"
    _is_unavailable(api.send_photo(path, fakes.photo(1)))
    archive = {"archive": SimpleUploadedFile("people.zip", zipped(PEOPLE).getvalue())}
    _is_unavailable(api.post("/api/v1/collections/default/imports/", archive, format="multipart"))
    assert not Photo.objects.exists()
    assert not ImportJob.objects.exists()
    work()
    assert not OutboxEntry.objects.filter(done_at=None).exists()


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO]
)
def test_a_partly_written_photo_is_removed(
    api: Program, person: Person, number: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    storage: Any = photo_storage()
    save = type(storage)._save

    def fail_after_writing(self: Any, name: str, content: Any) -> str:
        save(self, name, content)
        raise OSError(number, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "_save", fail_after_writing)
        path = f"/api/v1/collections/default/persons/{person.pk}/photos/"
        _is_unavailable(api.send_photo(path, fakes.photo(1)))
    work()
    assert not Photo.objects.exists()
    assert [path for path in Path(storage.location).rglob("*") if path.is_file()] == []


def test_photos_are_refused_with_a_503_while_their_bucket_is_missing(
    api: Program, person: Person, s3: S3Client, settings: Any
) -> None:
    _store_in_bucket(settings, "missing")
    path = f"/api/v1/collections/default/persons/{person.pk}/photos/"
    _is_unavailable(api.send_photo(path, fakes.photo(1)))
    assert not Photo.objects.exists()


def test_ready_reports_a_folder_that_is_not_writable(client: Client, db: None, settings: Any) -> None:
    assert _ready(client) == (200, "ok", "ok")
    _store_in(settings, NOT_WRITABLE / "facerec" / "photos")
    assert _ready(client) == (200, "degraded", "storage_unavailable")


def test_ready_reports_a_disk_with_no_room_for_a_photo(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(1_000_000_000, 995_000_000, 5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert _ready(client) == (200, "degraded", "storage_unavailable")


def test_a_bucket_is_checked_without_storing_anything(s3: S3Client, settings: Any) -> None:
    _store_in_bucket(settings, "inbox")
    storage: Any = photo_storage()
    storage.check()
    assert s3.list_objects_v2(Bucket="inbox").get("Contents", []) == []
    _store_in_bucket(settings, "missing")
    storage = photo_storage()
    with pytest.raises(StorageUnavailable):
        storage.check()


def test_the_readiness_check_leaves_nothing_in_the_folder(
    client: Client, db: None, settings: Any, tmp_path: Path
) -> None:
    _store_in(settings, tmp_path)
    assert _ready(client) == (200, "ok", "ok")
    assert list(tmp_path.iterdir()) == []
    _store_in(settings, tmp_path / "a" / "new" / "folder")
    assert _ready(client) == (200, "ok", "ok")
    assert list(tmp_path.iterdir()) == []
