from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from people.errors import BucketNotAllowed, ObjectNotFound, PhotoTooLarge
from people.imports import jobs
from people.models import Collection, ImportJob, Person
from people.photos import MAX_BYTES
from people.s3 import input_buckets
from people.s3.photo_storage import S3PhotoStorage
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, results, zipped
from tests.servers import make_bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_an_object_larger_than_the_limit_for_photos_is_rejected(s3: S3Client) -> None:
    s3.put_object(Bucket="inbox", Key="too-large", Body=bytes(MAX_BYTES + 1))
    s3.put_object(Bucket="inbox", Key="largest", Body=bytes(MAX_BYTES))
    with pytest.raises(PhotoTooLarge):
        input_buckets.read("inbox", "too-large")
    assert len(input_buckets.read("inbox", "largest")) == MAX_BYTES


def test_the_bucket_of_the_enrolled_photos_is_never_an_input_bucket(s3: S3Client, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "people.s3.photo_storage.S3PhotoStorage",
            "OPTIONS": {"bucket_name": "photos"},
        },
    }
    settings.FACEREC_S3_INPUT_BUCKETS = ["inbox", "photos"]
    assert input_buckets.allowed() == ["inbox"]
    with pytest.raises(BucketNotAllowed):
        input_buckets.read("photos", "1.jpg")
    with pytest.raises(BucketNotAllowed):
        list(input_buckets.listed("photos", ""))
    assert [error.id for error in input_buckets.check_input_buckets()] == ["people.E010"]
    settings.FACEREC_S3_INPUT_BUCKETS = ["inbox"]
    assert input_buckets.check_input_buckets() == []


def test_buckets_are_read_in_the_configured_region(s3: S3Client, settings: Any) -> None:
    settings.AWS_REGION = "eu-north-1"
    assert input_buckets._client().meta.region_name == "eu-north-1"


@pytest.mark.slow
def test_a_prefix_with_more_than_one_page_of_objects_is_listed_completely(s3: S3Client) -> None:
    for number in range(1001):
        s3.put_object(Bucket="inbox", Key=f"many/{number}", Body=b"")
    s3.put_object(Bucket="inbox", Key="other/1", Body=b"")
    assert len(list(input_buckets.listed("inbox", "many/"))) == 1001


def test_a_prefix_is_imported_with_its_people_csv(collection: Collection, s3: S3Client) -> None:
    csv = b"folder,external_id,name\nada,a1,Ada Lovelace\n"
    for name, data in {**PEOPLE, "people.csv": csv, "ada/": b""}.items():
        s3.put_object(Bucket="inbox", Key=f"staff/2026/{name}", Body=data)
    s3.put_object(Bucket="inbox", Key="staff/2025/eve/1.png", Body=fakes.photo(3))
    job = jobs.submit_prefix("inbox", "/staff/2026", collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == dict.fromkeys(PEOPLE, "enrolled")
    assert set(Person.objects.values_list("external_id", "name")) == {("a1", "Ada Lovelace"), ("bob", "")}


def test_the_command_imports_a_prefix_of_an_allowed_bucket_only(
    collection: Collection,
    s3: S3Client,
) -> None:
    s3.put_object(Bucket="inbox", Key="ada/1.png", Body=fakes.photo(1))
    call_command("import_people", "s3://inbox", collection="default", stdout=io.StringIO())
    assert Person.objects.get().external_id == "ada"
    with pytest.raises(CommandError, match="FACEREC_S3_INPUT_BUCKETS"):
        call_command("import_people", "s3://other/x", collection="default")


def test_an_import_whose_bucket_is_no_longer_allowed_fails(
    collection: Collection,
    s3: S3Client,
    settings: Any,
) -> None:
    job = jobs.submit_prefix("inbox", "", collection=collection, actor=STAFF)
    settings.FACEREC_S3_INPUT_BUCKETS = []
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "bucket_not_allowed")


def test_an_archive_in_a_bucket_is_read_in_parts(s3: S3Client) -> None:
    make_bucket(s3, "photos")
    storage = S3PhotoStorage(bucket_name="photos")
    archive = zipped({f"p{number}/1.png": bytes([number]) * 3_000_000 for number in range(5)})
    storage.save("imports/1.zip", archive)
    content = storage.open_in_parts("imports/1.zip")
    content.seek(2_999_990)
    assert content.read(5_000_000) == archive.getvalue()[2_999_990:7_999_990]
    content.seek(-3, io.SEEK_END)
    assert (content.read(), content.read()) == (archive.getvalue()[-3:], b"")
    with pytest.raises(FileNotFoundError):
        storage.open_in_parts("imports/2.zip")
    with pytest.raises(ObjectNotFound):
        input_buckets.read("inbox", "imports/1.zip")
