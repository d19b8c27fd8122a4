"""The query string and headers of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from people.decision import ThresholdChoice
from people.extraction import MAX_FACES
from people.identification import MAX_CANDIDATES
from people.models import ImportItem, Person, Photo
from people.quality import LEVELS

DEFAULT_WAIT_SECONDS = 10
MAX_WAIT_SECONDS = 30
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="For 24 h, the same key and body return the stored response.",
)
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=10`: seconds to wait for the verdict, 0–30.",
)


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
    """Base of query strings. An unknown parameter is refused, so that no typo goes unnoticed."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        query = request.query_params
        serializer = cls(data=query.dict())
        unknown = {name: ["There is no such parameter."] for name in query if name not in serializer.fields}
        repeated = {name: ["Give it once."] for name in query if len(query.getlist(name)) > 1}
        if unknown or repeated:
            raise serializers.ValidationError(unknown | repeated)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class NoQuery(QuerySerializer):
    pass


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
        help_text="Share of searches for strangers that may return a match; 0.01 by default.",
    )
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")
    include_below = StrictBooleanField(
        required=False, default=False, help_text="List candidates below the threshold too."
    )


class DetectQuery(QuerySerializer):
    max_faces = serializers.IntegerField(required=False, default=MAX_FACES, min_value=1, max_value=MAX_FACES)


class EnrolQuery(QuerySerializer):
    face = FaceField(required=False, default="only", help_text="`only`, `largest`, or left,top,width,height.")
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")


class PageQuery(QuerySerializer):
    cursor = serializers.CharField(required=False, help_text="From `next` or `previous`.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="50 by default."
    )


class PersonQuery(PageQuery):
    status = serializers.ChoiceField(
        Person.Status.choices,
        required=False,
        help_text="By default merged people are listed only if asked for by external_id.",
    )
    external_id = serializers.CharField(required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    search = serializers.CharField(required=False, help_text="In name and external_id.")
    ordering = serializers.ChoiceField(
        ["created_at", "-created_at", "name", "-name", "external_id", "-external_id"],
        required=False,
        help_text="`-created_at` by default. People without an external_id come last.",
    )


class PhotoQuery(PageQuery):
    status = serializers.ChoiceField(Photo.Status.choices, required=False)


class ImportQuery(QuerySerializer):
    dry_run = StrictBooleanField(
        required=False, default=False, help_text="Judge every file, and enrol nothing."
    )


class ItemQuery(PageQuery):
    state = serializers.ChoiceField(ImportItem.State.choices, required=False)


def threshold_choice(query: Mapping[str, Any]) -> ThresholdChoice | None:
    """Return the threshold that the query asks for, or None when it names none."""
    choice = ThresholdChoice(query.get("fpir"), query.get("fmr"), query.get("min_similarity"))
    return choice if choice.is_made() else None


def wait_seconds(request: Request) -> int:
    """Return how long the client will wait, from `Prefer: wait=10` (RFC 7240); 0–30 seconds."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", request.headers.get("Prefer", ""))
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else DEFAULT_WAIT_SECONDS
