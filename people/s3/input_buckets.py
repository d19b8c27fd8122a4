"""Read photos from the buckets that the operator allowed in FACEREC_S3_INPUT_BUCKETS, and from no others.

Every client that may enrol can read every object in these buckets. So the bucket that stores the enrolled
photos is never allowed, even if the setting contains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from typing import Any

from django.conf import settings
from django.core import checks

from people.errors import BucketNotAllowed, ObjectNotFound, PhotoTooLarge
from people.photos import MAX_BYTES
from people.s3.client import new_client, translated

MAX_KEY_BYTES = 1024
_NOT_FOUND = frozenset(
    {"404", "403", "NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidObjectState", "KeyTooLongError"}
)
"""S3's error codes. If the service's role may not list the bucket, S3 denies access to missing keys."""
_client = cache(new_client)


def allowed() -> list[str]:
    """Return the buckets that may be read."""
    return [name for name in settings.FACEREC_S3_INPUT_BUCKETS if name and name != _photo_bucket()]


def read(bucket: str, key: str, limit: int = MAX_BYTES) -> bytes:
    """Return an object's bytes.

    Raises BucketNotAllowed, ObjectNotFound, PhotoTooLarge beyond `limit` bytes, or StorageUnavailable.
    """
    check(bucket)
    if not key or not can_be_key(key):
        raise ObjectNotFound
    with translated(ObjectNotFound(), _NOT_FOUND):
        response = _client().get_object(Bucket=bucket, Key=key)
        with closing(response["Body"]) as body:
            if response["ContentLength"] > limit:
                raise PhotoTooLarge
            return body.read()  # all of it: only then does the SDK verify that nothing is missing


def listed(bucket: str, prefix: str) -> Iterator[tuple[str, int, str]]:
    """Yield the key, size in bytes and ETag of each object whose key begins with `prefix`, page by page.

    Raises BucketNotAllowed, ObjectNotFound if the bucket doesn't exist, or StorageUnavailable.
    """
    check(bucket)
    with translated(ObjectNotFound(), _NOT_FOUND):
        for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for listed_object in page.get("Contents", ()):
                yield listed_object["Key"], listed_object["Size"], listed_object["ETag"]


def can_be_key(text: str) -> bool:
    """Return whether an object's key could begin with this text: JSON allows text that keys can't contain."""
    try:
        return len(text.encode()) <= MAX_KEY_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False


def check_input_buckets(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """System check: the bucket of the enrolled photos isn't among those that clients may read from."""
    if (photo_bucket := _photo_bucket()) and photo_bucket in settings.FACEREC_S3_INPUT_BUCKETS:
        return [
            checks.Error(
                f"FACEREC_S3_INPUT_BUCKETS contains {photo_bucket}, which stores the enrolled photos.",
                hint="Use a different bucket: any client that may enrol could read every enrolled photo.",
                id="people.E010",
            )
        ]
    return []


def _photo_bucket() -> str | None:
    storage: Any = settings.STORAGES["default"]
    return storage.get("OPTIONS", {}).get("bucket_name") or None


def check(bucket: str) -> None:
    """Raise BucketNotAllowed unless the operator allowed the bucket."""
    if bucket not in allowed():
        raise BucketNotAllowed
