"""The source of an import: an uploaded archive, or a folder in S3."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiRequest
from rest_framework import serializers
from rest_framework.request import Request

from people.api.requests.base import Body, members
from people.api.requests.fields import Text


class ImportUpload(Body):
    """An archive of photos as a file."""

    archive = serializers.FileField(
        help_text="ZIP archive with the layout `person/photo.jpg`, one folder per person. A `people.csv` at "
        "its root can map folders to people; its columns are `folder`, `external_id`, `name`, `metadata`, "
        "`consent_given_at` and `consent_expires_at`. Without it, each folder's name is the external_id."
    )


class S3PrefixSerializer(Body):
    """A folder in S3."""

    bucket = Text(help_text="Name of a bucket that the operator allows for reading.")
    prefix = Text(
        allow_blank=True,
        help_text="Prefix under which the photos have the layout `person/photo.jpg`. Empty means the whole "
        "bucket.",
    )


class ImportJson(Body):
    """Photos in S3. URLs are never fetched."""

    s3 = S3PrefixSerializer(help_text="Where the photos are.")


IMPORT_REQUEST = {
    "multipart/form-data": OpenApiRequest(
        ImportUpload, encoding={"archive": {"contentType": "application/zip"}}
    ),
    "application/json": ImportJson,
}


def import_source(request: Request) -> Any:
    """Return the uploaded archive, or the (bucket, prefix) to import from. Raises ValidationError."""
    sent = members(request, ("archive", "s3"))
    archives = request.FILES.getlist("archive")
    if len(archives) == 1 and archives[0].size:
        return archives[0]
    match sent:
        case {"s3": {"bucket": str(bucket), "prefix": str(prefix), **other_members}} if not other_members:
            return bucket, prefix
    raise serializers.ValidationError(
        {
            "archive": "Send one ZIP archive in the multipart field `archive`, or the JSON "
            '{"s3": {"bucket": "…", "prefix": "…"}} with an allowed bucket.'
        }
    )
