"""Photos in requests: as a multipart file, in base64, or as an object in S3."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import Any

from drf_spectacular.utils import OpenApiRequest, PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from people.api.requests.base import Body, members
from people.api.requests.fields import Base64, Text
from people.errors import PhotoMissing, PhotoTooLarge
from people.photos import MAX_BYTES
from people.s3 import input_buckets
from people.uploads import content


class Base64Photo(Body):
    """A photo in the request itself."""

    base64 = Base64(
        help_text="The photo's file in base64, at most 10 MB when decoded. Line breaks are allowed, a "
        "`data:` prefix isn't."
    )


class S3ObjectSerializer(Body):
    """An object in S3."""

    bucket = Text(help_text="Name of a bucket that the operator allows for reading.")
    key = Text(help_text="Key of the photo in the bucket.")


class S3Photo(Body):
    """A photo in S3."""

    s3 = S3ObjectSerializer(help_text="The object that contains the photo.")


class PhotoUpload(Body):
    """A photo as a file."""

    photo = serializers.FileField(help_text="JPEG, PNG, WebP or HEIC file of at most 10 MB.")


@extend_schema_field(
    PolymorphicProxySerializer("PhotoSource", [Base64Photo, S3Photo], resource_type_field_name=None)
)
class PhotoSource(serializers.JSONField):
    pass


class PhotoJson(Body):
    """A photo in base64 or in S3. URLs are never fetched."""

    photo = PhotoSource(help_text="The photo.")


class CompareUpload(Body):
    """Two photos as files."""

    # Any, because a Serializer has an attribute with this name
    source: Any = serializers.FileField(
        help_text="JPEG, PNG, WebP or HEIC file of at most 10 MB, whose largest face is compared."
    )
    target = serializers.FileField(
        help_text="JPEG, PNG, WebP or HEIC file of at most 10 MB, whose faces are all compared with it."
    )


class CompareJson(Body):
    """Two photos in base64 or in S3. URLs are never fetched."""

    # Any, because a Serializer has an attribute with this name
    source: Any = PhotoSource(help_text="The photo whose largest face is compared.")
    target = PhotoSource(help_text="The photo whose faces are all compared with it.")


_IMAGE = {"contentType": "image/jpeg, image/png, image/webp, image/heic"}
PHOTO_REQUEST = {
    "multipart/form-data": OpenApiRequest(PhotoUpload, encoding={"photo": _IMAGE}),
    "application/json": PhotoJson,
}
COMPARE_REQUEST = {
    "multipart/form-data": OpenApiRequest(CompareUpload, encoding={"source": _IMAGE, "target": _IMAGE}),
    "application/json": CompareJson,
}


def photo_bytes(request: Request, *fields: str) -> tuple[bytes, ...]:
    """Return the photo in each of `fields`, sent as a multipart file, in base64, or as an object in S3.

    Raises PhotoMissing, PhotoTooLarge, BucketNotAllowed, ObjectNotFound, StorageUnavailable or
    ValidationError.
    """
    sent = members(request, fields)
    return tuple(_photo(request, sent.get(field), field) for field in fields)


def _photo(request: Request, sent: Any, field: str) -> bytes:
    if len(request.FILES.getlist(field)) > 1:
        raise serializers.ValidationError({field: "Send only one photo."})
    if file := request.FILES.get(field):
        return content(file)
    if sent is None:
        raise PhotoMissing(
            f"No photo was sent. Send one in the multipart field `{field}`, or as `{field}.base64` in JSON."
        )
    match sent:
        case {"base64": str(text)} if len(sent) == 1:
            return _from_base64(text, field)
        case {"s3": {"bucket": str(bucket), "key": str(key)} as named} if len(sent) == 1 and len(named) == 2:
            return input_buckets.read(bucket, key)
    raise serializers.ValidationError(
        {
            field: 'Send a multipart file, {"base64": "…"}, or {"s3": {"bucket": "…", "key": "…"}} with an '
            "allowed bucket. URLs are never fetched."
        }
    )


def _from_base64(text: str, field: str) -> bytes:
    if text.startswith("data:"):
        raise serializers.ValidationError({field: "Remove the `data:` prefix and send only the base64 text."})
    if len(text) > (MAX_BYTES + 2) // 3 * 4 + 4 + len(text) // 60:  # room for line breaks
        raise PhotoTooLarge
    try:
        with suppress(binascii.Error):
            return base64.b64decode(text, validate=True)
        return base64.b64decode("".join(text.split()), validate=True)  # with line breaks
    except ValueError as error:
        raise serializers.ValidationError({field: "Invalid base64."}) from error
