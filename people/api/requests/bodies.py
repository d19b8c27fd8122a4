"""The bodies of requests: photos, and the fields of records."""

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
from people.api.responses.records import TUNING, RetentionSerializer
from people.errors import PhotoMissing, PhotoTooLarge
from people.models import Collection, Person
from people.models.collection import validate_name
from people.photos import MAX_BYTES
from people.s3 import input_buckets
from people.uploads import content

UNKNOWN_FIELD = "The body has no such field. Parameters go in the URL's query string."
READ_ONLY_FIELD = "This field can't be set."
SETTABLE_STATUSES = [choice for choice in Person.Status.choices if choice[0] != Person.Status.MERGED]
_Row = TypeVar("_Row", bound=models.Model)


# Mixed into serializers of request bodies: unknown and read-only fields are mistakes. A docstring would
# become the description of each in the document.
class StrictFields:
    def to_internal_value(self, data: Any) -> Any:
        known: Mapping[str, Any] = self.fields  # type: ignore[attr-defined]
        if isinstance(data, Mapping):
            errors = {name: [UNKNOWN_FIELD] for name in data if name not in known}
            errors |= {name: [READ_ONLY_FIELD] for name in data if name in known and known[name].read_only}
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)  # type: ignore[misc]


# Base of bodies that belong to no model.
class Body(StrictFields, serializers.Serializer[Any]):
    pass


# Base of bodies whose fields are those of a model.
class ModelBody(StrictFields, serializers.ModelSerializer[_Row]):
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
    base64 = Base64(help_text="A photo of 10 MB at most, with or without line breaks; no `data:` prefix.")


class S3ObjectSerializer(Body):
    bucket = Text(help_text="One that the operator allows for reading.")
    key = Text()


class S3Photo(Body):
    s3 = S3ObjectSerializer()


class PhotoUpload(Body):
    photo = serializers.FileField(help_text="JPEG, PNG, WebP or HEIC; 10 MB at most.")


@extend_schema_field(
    PolymorphicProxySerializer("PhotoSource", [Base64Photo, S3Photo], resource_type_field_name=None)
)
class PhotoSource(serializers.JSONField):
    pass


class PhotoJson(Body):
    photo = PhotoSource()


class CompareUpload(Body):
    source = serializers.FileField(help_text="The largest face of this photo …")  # type: ignore[assignment]
    target = serializers.FileField(help_text="… is compared with every face of this one.")


class CompareJson(Body):
    source = PhotoSource()  # type: ignore[assignment]  # a field named as Serializer's own attribute
    target = PhotoSource()


class ImportUpload(Body):
    archive = serializers.FileField(
        help_text="A ZIP of person/photo.jpg; people.csv at its root may say who the folders are."
    )


class S3PrefixSerializer(Body):
    bucket = Text(help_text="One that the operator allows for reading.")
    prefix = Text(allow_blank=True, help_text="The folder that holds person/photo.jpg.")


class ImportJson(Body):
    s3 = S3PrefixSerializer()


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
    """The rules by which people are erased every hour."""

    class Meta:
        model = Collection
        fields = RetentionSerializer.Meta.fields


@extend_schema_serializer(component_name="NewCollection")
class CollectionBody(ModelBody[Collection]):
    """A new collection."""

    retention = RetentionBody(source="*", required=False)

    class Meta:
        model = Collection
        fields = ["name", *TUNING, "retention"]
        extra_kwargs = {
            # uniqueness is a conflict, which the act reports
            "name": {"validators": [validate_name]},
            "description": {"trim_whitespace": True},
        }
        validators: list[Any] = []


@extend_schema_serializer(component_name="CollectionChange")
class CollectionChangeBody(CollectionBody):
    """A collection's name is part of URLs and never changes."""

    class Meta(CollectionBody.Meta):
        read_only_fields = ["name"]


@extend_schema_serializer(component_name="Consent")
class ConsentBody(Body):
    given_at = serializers.DateTimeField(source="consent_given_at", allow_null=True, required=False)
    expires_at = serializers.DateTimeField(source="consent_expires_at", allow_null=True, required=False)


@extend_schema_serializer(component_name="Person")
class PersonBody(ModelBody[Person]):
    external_id = ExternalId(required=False)
    status = serializers.ChoiceField(
        SETTABLE_STATUSES,
        required=False,
        help_text="Suspended people stay enrolled but don't appear in search results.",
    )
    consent = ConsentBody(source="*", required=False)

    class Meta:
        model = Person
        fields = ["external_id", "name", "metadata", "status", "consent"]
        extra_kwargs = {"name": {"trim_whitespace": True}}
        validators: list[Any] = []


@extend_schema_serializer(component_name="Merge")
class MergeBody(Body):
    other = Id(help_text="The person whose photos are moved, who is then merged into the person of the path.")


def photo_bytes(request: Request, *fields: str) -> tuple[bytes, ...]:
    """Return the photo in each of `fields`: a multipart file, or JSON that holds or names it.

    Raises PhotoMissing, PhotoTooLarge, BucketNotAllowed, ObjectNotFound, StorageUnavailable or
    ValidationError.
    """
    members = _members(request, fields)
    return tuple(_photo(request, members.get(field), field) for field in fields)


def _members(request: Request, names: Names[str]) -> Mapping[str, Any]:
    """Return the body's members, which must be among these names."""
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError({"request": 'Send a JSON object, as {"photo": {"base64": "…"}}.'})
    if unknown := {name: [UNKNOWN_FIELD] for name in request.data if name not in names}:
        raise serializers.ValidationError(unknown)
    return request.data


def _photo(request: Request, sent: Any, field: str) -> bytes:
    if len(request.FILES.getlist(field)) > 1:
        raise serializers.ValidationError({field: "Send one photo only."})
    if file := request.FILES.get(field):
        return content(file)
    if sent is None:
        raise PhotoMissing(
            f"No photo was sent. Send one as multipart file `{field}`, or as JSON {field}.base64."
        )
    match sent:
        case {"base64": str(text)} if len(sent) == 1:
            return _from_base64(text, field)
        case {"s3": {"bucket": str(bucket), "key": str(key)} as named} if len(sent) == 1 and len(named) == 2:
            return input_buckets.read(bucket, key)
    raise serializers.ValidationError(
        {
            field: 'Send a multipart file, {"base64": "…"}, or {"s3": {"bucket": "…", "key": "…"}} of an '
            "allowed bucket. URLs are never fetched."
        }
    )


def _from_base64(text: str, field: str) -> bytes:
    if text.startswith("data:"):
        raise serializers.ValidationError({field: "Send the base64 alone, without the data: prefix."})
    if len(text) > (MAX_BYTES + 2) // 3 * 4 + 4 + len(text) // 60:  # room for line breaks
        raise PhotoTooLarge
    try:
        with suppress(binascii.Error):
            return base64.b64decode(text, validate=True)
        return base64.b64decode("".join(text.split()), validate=True)  # of several lines
    except ValueError as error:
        raise serializers.ValidationError({field: "This is not valid base64."}) from error


def import_source(request: Request) -> Any:
    """Return the uploaded archive, or the (bucket, prefix) to import from. Raises ValidationError."""
    members = _members(request, ("archive", "s3"))
    archives = request.FILES.getlist("archive")
    if len(archives) == 1 and archives[0].size:
        return archives[0]
    match members:
        case {"s3": {"bucket": str(bucket), "prefix": str(prefix), **more}} if not more:
            return bucket, prefix
    raise serializers.ValidationError(
        {
            "archive": "Send one ZIP archive as multipart file `archive`, or JSON "
            '{"s3": {"bucket": "…", "prefix": "…"}} of an allowed bucket.'
        }
    )
