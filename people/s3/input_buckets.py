"""Read photos from buckets that the operator allowed, FACEREC_S3_INPUT_BUCKETS; never from any other.

Whoever may enrol may read every object of these buckets. So the bucket that keeps the enrolled
photos is refused, whatever the setting says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

from people.errors import BucketNotAllowed, ObjectNotFound, PhotoTooLarge, StorageUnavailable
from people.photos import MAX_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_KEY_BYTES = 1024
_NOT_THERE = {
    "404",
    "403",
    "NoSuchKey",
    "NoSuchBucket",
    "AccessDenied",
    "InvalidObjectState",
    "KeyTooLongError",
}


def allowed() -> list[str]:
    """Return the buckets that may be read."""
    return [name for name in settings.FACEREC_S3_INPUT_BUCKETS if name and name != _own_bucket()]


def read(bucket: str, key: str, limit: int = MAX_BYTES) -> bytes:
    """Return an object.

    Raises BucketNotAllowed, ObjectNotFound, PhotoTooLarge beyond `limit` bytes, or StorageUnavailable.
    """
    check(bucket)
    if not key or not can_be_key(key):
        raise ObjectNotFound
    with _translated():
        answer = _client().get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            if answer["ContentLength"] > limit:
                raise PhotoTooLarge
            data = body.read(limit + 1)
    if len(data) > limit:
        raise PhotoTooLarge
    return data


def listed(bucket: str, prefix: str) -> Iterator[tuple[str, int, str]]:
    """Yield key, size and ETag of each object whose key begins with `prefix`, page by page.

    Raises BucketNotAllowed, ObjectNotFound when there is no such bucket, or StorageUnavailable.
    """
    check(bucket)
    with _translated():
        for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield found["Key"], found["Size"], found["ETag"]


def can_be_key(text: str) -> bool:
    """Return whether an object's key could begin with this: JSON can name what S3 can't."""
    try:
        return len(text.encode()) <= MAX_KEY_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False


def check_input_buckets(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """System check: the photos' own bucket is not among those that may be read by name."""
    if (own := _own_bucket()) and own in settings.FACEREC_S3_INPUT_BUCKETS:
        return [
            checks.Error(
                f"FACEREC_S3_INPUT_BUCKETS names {own}, which keeps the enrolled photos.",
                hint="Take it out: whoever may enrol could read everybody's photos. Use another bucket.",
                id="people.E010",
            )
        ]
    return []


def _own_bucket() -> str | None:
    storage: Any = settings.STORAGES["default"]
    return storage.get("OPTIONS", {}).get("bucket_name") or None


def check(bucket: str) -> None:
    """Raise BucketNotAllowed unless the operator allowed the bucket."""
    if bucket not in allowed():
        raise BucketNotAllowed


@cache
def _client() -> S3Client:
    # boto3 is there only where S3 is used
    import boto3

    from people.s3.client import CLIENT

    return boto3.session.Session().client("s3", region_name=settings.AWS_REGION, config=CLIENT)


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            # a role that may not list is told 403 of a key that isn't there
            raise ObjectNotFound(
                "There is no such object, or the service may not read it. Check bucket, key and the "
                "service's right to read; keys tell upper from lower case."
            ) from error
        raise StorageUnavailable from error
    except BotoCoreError as error:
        raise StorageUnavailable from error
