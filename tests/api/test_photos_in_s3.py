from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from people.errors import StorageUnavailable
from people.models import Person
from people.s3 import input_buckets
from tests import fakes
from tests.api.program import IDENTIFY, Program
from tests.servers import make_bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def _from_s3(key: str, bucket: str = "inbox") -> dict[str, Any]:
    return {"photo": {"s3": {"bucket": bucket, "key": key}}}


def test_a_photo_of_an_allowed_bucket_is_searched(
    api: Program,
    enrolled: Callable[..., Person],
    s3: S3Client,
) -> None:
    person = enrolled(1)
    s3.put_object(Bucket="inbox", Key="door/1 ü.png", Body=fakes.photo(1, variation=3))
    response = api.post(IDENTIFY, _from_s3("door/1 ü.png"))
    assert response.status_code == 200, response.json()
    assert response.json()["faces"][0]["candidates"][0]["person"]["id"] == str(person.pk)


def test_a_bucket_that_is_not_allowed_is_not_read(api: Program, s3: S3Client) -> None:
    make_bucket(s3, "secret")
    s3.put_object(Bucket="secret", Key="1.png", Body=fakes.photo(1))
    response = api.post(IDENTIFY, _from_s3("1.png", "secret"))
    assert (response.status_code, response.json()["code"]) == (400, "bucket_not_allowed")
    assert "FACEREC_S3_INPUT_BUCKETS" in response.json()["detail"]


@pytest.mark.parametrize("key", ["nothing.png", "", "x" * 2000])
def test_a_missing_object_is_reported(api: Program, s3: S3Client, key: str) -> None:
    response = api.post(IDENTIFY, _from_s3(key))
    assert (response.status_code, response.json()["code"]) == (422, "object_not_found")


@pytest.mark.parametrize("key", ["\ud800", "a\0b"])
def test_a_key_that_is_valid_json_but_not_valid_in_s3_is_refused(
    api: Program, s3: S3Client, key: str
) -> None:
    body = json.dumps(_from_s3(key))  # escaped, as programs send it
    response = api.post(IDENTIFY, body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


def test_a_missing_bucket_is_reported_as_a_missing_object(api: Program, s3: S3Client, settings: Any) -> None:
    settings.FACEREC_S3_INPUT_BUCKETS = ["missing"]
    response = api.post(IDENTIFY, _from_s3("1.png", "missing"))
    assert (response.status_code, response.json()["code"]) == (422, "object_not_found")


def test_an_unreachable_storage_returns_503(
    api: Program,
    s3: S3Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    input_buckets._client.cache_clear()
    response = api.post(IDENTIFY, _from_s3("1.png"))
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    assert "Retry-After" in response
    with pytest.raises(StorageUnavailable):
        list(input_buckets.listed("inbox", ""))


@pytest.mark.parametrize(
    "photo",
    [
        {"s3": {"bucket": "inbox"}},
        {"s3": {"bucket": "inbox", "key": 1}},
        {"s3": {"bucket": "inbox", "key": "1", "version": "2"}},
        {"s3": {"bucket": "inbox", "key": "1"}, "base64": "AA=="},
        {"s3": "s3://inbox/1"},
        {"url": "https://example.org/1.jpg"},
        [],
    ],
)
def test_an_invalid_reference_is_refused_by_field(api: Program, photo: Any) -> None:
    response = api.post(IDENTIFY, {"photo": photo})
    assert response.status_code == 400
    assert "photo" in response.json()["errors"]
