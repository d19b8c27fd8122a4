"""What a request brings: a photo, a choice of face or threshold, a wait. Every mistake is told by field."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from people.decision import ThresholdChoice
from people.errors import PhotoMissing, PhotoTooLarge
from people.extraction import MAX_FACES
from people.identification import MAX_CANDIDATES
from people.photos import MAX_BYTES
from people.quality import LEVELS
from people.s3 import input_buckets
from people.uploads import content

DEFAULT_WAIT_SECONDS = 10
MAX_WAIT_SECONDS = 30


def photo_bytes(request: Request, field: str = "photo") -> bytes:
    """Return the bytes of the photo in `field`: a multipart file, or JSON that holds or names it.

    Raises PhotoMissing, PhotoTooLarge, BucketNotAllowed, ObjectNotFound, StorageUnavailable or
    ValidationError.
    """
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError({"request": 'Send a JSON object, as {"photo": {"base64": "…"}}.'})
    if len(request.FILES.getlist(field)) > 1:
        raise serializers.ValidationError({field: "Send one photo only."})
    if file := request.FILES.get(field):
        return content(file)
    sent = request.data.get(field)
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
            "allowed bucket. Addresses are never fetched."
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


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`; anything else is a mistake, not a yes."""

    TRUE_VALUES = {"true"}
    FALSE_VALUES = {"false"}
    NULL_VALUES: set[Any] = set()


class FaceField(serializers.CharField):
    """`only`, `largest`, or `left,top,width,height` in pixels of the upright photo."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if text in ("only", "largest"):
            return text
        if re.fullmatch(r"(-?\d{1,5}(\.\d{1,3})?,){3}\d{1,5}(\.\d{1,3})?", text):
            return [float(number) for number in text.split(",")]
        raise serializers.ValidationError("Write `only`, `largest`, or `left,top,width,height` in pixels.")


class QuerySerializer(serializers.Serializer[Any]):
    """Base of query strings. An unknown parameter is refused: no typo changes an answer in silence."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        query = request.query_params
        serializer = cls(data=query.dict())
        unknown = {name: ["There is no such parameter."] for name in query if name not in serializer.fields}
        twice = {name: ["Give it once."] for name in query if len(query.getlist(name)) > 1}
        if unknown or twice:
            raise serializers.ValidationError(unknown | twice)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class PairThresholdQuery(QuerySerializer):
    fmr = serializers.FloatField(
        required=False, min_value=1e-9, max_value=0.1, help_text="False match rate of pairs; 1e-4 by default."
    )
    min_similarity = serializers.FloatField(
        required=False, min_value=0, max_value=100, help_text="Lowest similarity of a match, 0–100."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("fpir", "fmr", "min_similarity") if name in attrs]
        if len(given) > 1:
            raise serializers.ValidationError({name: ["Give one threshold only."] for name in given})
        return attrs


class CompareQuery(PairThresholdQuery):
    pass


class VerifyQuery(PairThresholdQuery):
    face = FaceField(required=False, default="only", help_text="`only`, `largest`, or left,top,width,height.")


class IdentifyQuery(PairThresholdQuery):
    max_candidates = serializers.IntegerField(
        required=False, default=5, min_value=1, max_value=MAX_CANDIDATES
    )
    max_faces = serializers.IntegerField(required=False, default=10, min_value=1, max_value=MAX_FACES)
    fpir = serializers.FloatField(
        required=False,
        min_value=1e-6,
        max_value=0.5,
        help_text="Share of strangers' searches that may find somebody; 0.01 by default.",
    )
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")
    include_below = StrictBooleanField(
        required=False, default=False, help_text="List those below the threshold."
    )


class DetectQuery(QuerySerializer):
    max_faces = serializers.IntegerField(required=False, default=MAX_FACES, min_value=1, max_value=MAX_FACES)


class EnrolQuery(QuerySerializer):
    face = FaceField(required=False, default="only", help_text="`only`, `largest`, or left,top,width,height.")
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")


def threshold_choice(query: Mapping[str, Any]) -> ThresholdChoice | None:
    """Return the threshold that the query asks for, or None when it names none."""
    choice = ThresholdChoice(query.get("fpir"), query.get("fmr"), query.get("min_similarity"))
    return choice if choice.is_made() else None


def wait_seconds(request: Request) -> int:
    """Return how long the client will wait, from `Prefer: wait=10` (RFC 7240); 0–30 seconds."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", request.headers.get("Prefer", ""))
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else DEFAULT_WAIT_SECONDS
