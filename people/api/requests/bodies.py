"""Request bodies: photos, import sources, and the fields of records."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection as Names
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from django.db import models
from drf_spectacular.utils import (
    OpenApiRequest,
    PolymorphicProxySerializer,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request

from people.api.requests.fields import Base64, ExternalId, Id, Metadata, Number, Text, Truth, Whole
from people.api.responses.records import (
    COLLECTION_HELP,
    CONSENT_EXPIRES_AT,
    CONSENT_GIVEN_AT,
    PERSON_HELP,
    RETENTION_HELP,
    TUNING,
    RetentionSerializer,
)
from people.errors import PhotoMissing, PhotoTooLarge
from people.models import Collection, Person
from people.models.collection import validate_name
from people.photos import MAX_BYTES
from people.s3 import input_buckets
from people.uploads import content

UNKNOWN_FIELD = "Unknown field. Send parameters in the URL's query string, not in the body."
READ_ONLY_FIELD = "This field is read-only."
SETTABLE_STATUSES = [choice for choice in Person.Status.choices if choice[0] != Person.Status.MERGED]
_Row = TypeVar("_Row", bound=models.Model)


# The base of request bodies: unknown and read-only fields are mistakes. A docstring here would become the
# description of each of them in the OpenAPI document.
class Body(serializers.Serializer[Any]):
    def to_internal_value(self, data: Any) -> Any:
        fields = self.fields
        if isinstance(data, Mapping):
            errors = {name: [UNKNOWN_FIELD] for name in data if name not in fields}
            errors |= {name: [READ_ONLY_FIELD] for name in data if name in fields and fields[name].read_only}
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


# The base of bodies whose fields are a model's.
class ModelBody(Body, serializers.ModelSerializer[_Row]):
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.BooleanField: Truth,
        models.FloatField: Number,
        models.PositiveIntegerField: Whole,
        models.JSONField: Metadata,
    }


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


_IMAGE = {"contentType": "image/jpeg, image/png, image/webp, image/heic"}
PHOTO_REQUEST = {
    "multipart/form-data": OpenApiRequest(PhotoUpload, encoding={"photo": _IMAGE}),
    "application/json": PhotoJson,
}
COMPARE_REQUEST = {
    "multipart/form-data": OpenApiRequest(CompareUpload, encoding={"source": _IMAGE, "target": _IMAGE}),
    "application/json": CompareJson,
}
IMPORT_REQUEST = {
    "multipart/form-data": OpenApiRequest(
        ImportUpload, encoding={"archive": {"contentType": "application/zip"}}
    ),
    "application/json": ImportJson,
}


@extend_schema_serializer(component_name="Retention")
class RetentionBody(ModelBody[Collection]):
    """Rules for erasing people automatically. They are applied every hour."""

    class Meta:
        model = Collection
        fields = RetentionSerializer.Meta.fields
        extra_kwargs = RETENTION_HELP


@extend_schema_serializer(component_name="NewCollection")
class CollectionBody(ModelBody[Collection]):
    """A new collection. Set at most one of `fpir`, `fmr` and `min_similarity`."""

    retention = RetentionBody(
        source="*",
        required=False,
        help_text="Rules for erasing people automatically. They are applied every hour.",
    )

    class Meta:
        model = Collection
        fields = ["name", *TUNING, "retention"]
        extra_kwargs = {
            **COLLECTION_HELP,
            # uniqueness is left to people.registration, so that a taken name is a conflict
            "name": {**COLLECTION_HELP["name"], "validators": [validate_name]},
            "description": {**COLLECTION_HELP["description"], "trim_whitespace": True},
        }
        validators: list[Any] = []


@extend_schema_serializer(component_name="CollectionChange")
class CollectionChangeBody(CollectionBody):
    """Changes to a collection. Fields that you leave out keep their values; the name can't be changed."""

    class Meta(CollectionBody.Meta):
        read_only_fields = ["name"]


@extend_schema_serializer(component_name="Consent")
class ConsentBody(Body):
    """The person's consent to be enrolled and identified."""

    given_at = serializers.DateTimeField(
        source="consent_given_at", allow_null=True, required=False, help_text=CONSENT_GIVEN_AT
    )
    expires_at = serializers.DateTimeField(
        source="consent_expires_at",
        allow_null=True,
        required=False,
        help_text=f"{CONSENT_EXPIRES_AT} It needs `given_at`.",
    )


@extend_schema_serializer(component_name="Person")
class PersonBody(ModelBody[Person]):
    """The fields of a person that you can set."""

    external_id = ExternalId(required=False)
    status = serializers.ChoiceField(
        SETTABLE_STATUSES,
        required=False,
        help_text="Suspended people stay enrolled but don't appear in search results.",
    )
    consent = ConsentBody(
        source="*", required=False, help_text="The person's consent to be enrolled and identified."
    )

    class Meta:
        model = Person
        fields = ["external_id", "name", "metadata", "status", "consent"]
        extra_kwargs = {**PERSON_HELP, "name": {**PERSON_HELP["name"], "trim_whitespace": True}}
        validators: list[Any] = []


@extend_schema_serializer(component_name="Merge")
class MergeBody(Body):
    """The person to merge."""

    other = Id(
        help_text="Id of the person to merge into the person in the path. Their photos are moved to "
        "that person."
    )


def photo_bytes(request: Request, *fields: str) -> tuple[bytes, ...]:
    """Return the photo in each of `fields`, sent as a multipart file, in base64, or as an object in S3.

    Raises PhotoMissing, PhotoTooLarge, BucketNotAllowed, ObjectNotFound, StorageUnavailable or
    ValidationError.
    """
    members = _members(request, fields)
    return tuple(_photo(request, members.get(field), field) for field in fields)


def _members(request: Request, names: Names[str]) -> Mapping[str, Any]:
    """Return the body's members, which must be among these names."""
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError(
            {"request": 'Send a JSON object, for example {"photo": {"base64": "…"}}.'}
        )
    if unknown := {name: [UNKNOWN_FIELD] for name in request.data if name not in names}:
        raise serializers.ValidationError(unknown)
    return request.data


def _photo(request: Request, sent: Any, field: str) -> bytes:
    if len(request.FILES.getlist(field)) > 1:
        raise serializers.ValidationError({field: "Send only one photo."})
    if file := request.FILES.get(field):
        return content(file)
    if sent is None:
        raise PhotoMissing(
            f"No photo was sent. Send one as the multipart file `{field}`, or in JSON as {field}.base64."
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


def import_source(request: Request) -> Any:
    """Return the uploaded archive, or the (bucket, prefix) to import from. Raises ValidationError."""
    members = _members(request, ("archive", "s3"))
    archives = request.FILES.getlist("archive")
    if len(archives) == 1 and archives[0].size:
        return archives[0]
    match members:
        case {"s3": {"bucket": str(bucket), "prefix": str(prefix), **other_members}} if not other_members:
            return bucket, prefix
    raise serializers.ValidationError(
        {
            "archive": "Send one ZIP archive as the multipart file `archive`, or the JSON "
            '{"s3": {"bucket": "…", "prefix": "…"}} with an allowed bucket.'
        }
    )
