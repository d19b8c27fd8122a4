"""Photos in S3 are private, encrypted, read through short-lived signed URLs, and deleted in every version."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import boto3
import pytest
import requests
from botocore.utils import ContainerMetadataFetcher
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from people import enrolment, erasure, tasks
from people.errors import StorageUnavailable
from people.models import Collection, Erasure, OutboxEntry, Person, Photo
from people.models.photo import photo_storage
from people.s3 import input_buckets
from people.s3.photo_storage import SIGNED_URL_SECONDS
from tests import fakes
from tests.actors import STAFF
from tests.servers import AWS_ENVIRONMENT, Role, free_port, make_bucket, role_server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facerec-photos"
Enrol = Callable[..., Person]


@pytest.fixture(autouse=True)
def _photos_in_s3(s3: S3Client, settings: Any) -> None:
    make_bucket(s3, BUCKET)
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "people.s3.photo_storage.S3PhotoStorage", "OPTIONS": {"bucket_name": BUCKET}},
    }


def _keys(client: S3Client) -> list[str]:
    response = client.list_objects_v2(Bucket=BUCKET)
    return [stored_object["Key"] for stored_object in response.get("Contents", [])]


def test_an_enrolled_photo_is_encrypted_private_and_has_a_key_that_reveals_nothing(
    s3: S3Client, collection: Collection, enrolled: Enrol
) -> None:
    person = enrolled(1, name="Ada Lovelace", external_id="emp-17")
    photo = Photo.objects.get()
    assert photo.status == Photo.Status.ACCEPTED
    (key,) = _keys(s3)
    assert key == photo.file.name == f"{collection.pk}/{photo.pk}.jpg"
    assert [UUID(part.removesuffix(".jpg")) for part in key.split("/")]
    assert str(person.pk) not in key
    head = s3.head_object(Bucket=BUCKET, Key=key)
    assert head["ServerSideEncryption"] == "AES256"
    assert head["CacheControl"] == "no-store"
    grants = s3.get_object_acl(Bucket=BUCKET, Key=key)["Grants"]
    assert not [grant for grant in grants if "URI" in grant["Grantee"]]


def test_photos_are_encrypted_with_the_kms_key_in_the_settings(
    s3: S3Client, settings: Any, enrolled: Enrol
) -> None:
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "people.s3.photo_storage.S3PhotoStorage",
            "OPTIONS": {"bucket_name": BUCKET, "kms_key": key},
        },
    }
    enrolled(1)
    (name,) = _keys(s3)
    assert name == Photo.objects.get().file.name
    head = s3.head_object(Bucket=BUCKET, Key=name)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_staff_see_a_photo_through_a_signed_url_that_expires_after_five_minutes(
    s3: S3Client, enrolled: Enrol, client: Client, staff: User
) -> None:
    enrolled(1)
    photo = Photo.objects.get()
    client.force_login(staff)
    response = client.get(reverse("admin:photo_image", args=[photo.pk]))
    assert response.status_code == 302
    assert "no-store" in response["Cache-Control"]
    query = parse_qs(urlsplit(response["Location"]).query)
    assert query["X-Amz-Expires"] == [str(SIGNED_URL_SECONDS)] == ["300"]
    assert "X-Amz-Signature" in query
    photo_response = requests.get(response["Location"], timeout=10)
    assert photo_response.content.startswith(b"\xff\xd8")
    assert client.get(reverse("admin:photo_thumbnail", args=[photo.pk])).status_code == 200


def test_every_version_of_an_erased_persons_photo_is_deleted(s3: S3Client, enrolled: Enrol) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    person, _ = enrolled(1), enrolled(2)
    erasure.erase(person, actor=STAFF)
    tasks.sweep()
    receipt = Erasure.objects.get()
    assert (receipt.status, receipt.files_purged) == ("complete", 1)
    versions = s3.list_object_versions(Bucket=BUCKET)
    assert [version["Key"] for version in versions["Versions"]] == [Photo.objects.get().file.name]
    assert "DeleteMarkers" not in versions


def test_a_submission_that_fails_leaves_no_object_behind(
    s3: S3Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person.objects.create(collection=collection)
    with monkeypatch.context() as patch:
        patch.setattr(Photo, "save", _fails)
        with pytest.raises(RuntimeError):
            enrolment.submit(person, fakes.photo(1), actor=STAFF)
    assert len(_keys(s3)) == 1
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.PURGE_FILE)
    OutboxEntry.objects.update(due_at=entry.created_at)
    tasks.sweep()
    assert _keys(s3) == []


@pytest.fixture
def role(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Role]:
    """The credentials server of a task that has a role and no keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # ignore the keys of the developer who runs the tests
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with role_server() as role:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.address)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-task")
        input_buckets._client.cache_clear()
        yield role


def _signed_by(url: str) -> tuple[str, str | None]:
    """Return the access key and the session token that the URL was signed with."""
    query = parse_qs(urlsplit(url).query)
    return query["X-Amz-Credential"][0].split("/")[0], query.get("X-Amz-Security-Token", [None])[0]


@pytest.mark.parametrize("keys", [{}, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}])
def test_the_tasks_role_gives_access_to_the_buckets_if_no_keys_are_set(
    role: Role, keys: dict[str, str], s3: S3Client, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    enrolled(1)
    storage: Any = photo_storage()
    assert _signed_by(storage.signed_url(_keys(s3)[0])) == (Role.ACCESS_KEY, Role.TOKEN)
    s3.put_object(Bucket="inbox", Key="1", Body=b"photo")
    before = len(role.asked)
    assert input_buckets.read("inbox", "1") == b"photo"
    assert len(role.asked) > before
    assert set(role.asked) == {"of-the-task"}


def test_keys_take_precedence_over_the_role(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, AWS_ENVIRONMENT[name])
    storage: Any = photo_storage()
    assert _signed_by(storage.signed_url("1.jpg")) == (AWS_ENVIRONMENT["AWS_ACCESS_KEY_ID"], None)
    assert role.asked == []


def test_an_input_bucket_is_unavailable_while_the_role_provides_no_credentials(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    with pytest.raises(StorageUnavailable):
        input_buckets.read("inbox", "1")


def _fails(*args: Any, **options: Any) -> None:
    raise RuntimeError("the process was killed")


def test_a_missing_file_is_reported_as_missing(s3: S3Client, enrolled: Enrol) -> None:
    enrolled(1)
    name = Photo.objects.get().file.name
    assert name is not None
    photo_storage().delete(name)
    assert not photo_storage().exists(name)
    with pytest.raises(FileNotFoundError):
        photo_storage().open(name).read()
