"""The query string and headers of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from people.api.requests.fields import Face, QueryNumber, QueryTruth, QueryWhole, Text
from people.decision import ThresholdChoice
from people.extraction import MAX_FACES
from people.identification import MAX_CANDIDATES
from people.models import ImportItem, Person, Photo
from people.quality import LEVELS

DEFAULT_WAIT_SECONDS = 10
MAX_WAIT_SECONDS = 30
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description=(
        "Text of your choice, unique for each request that you want to be carried out. For 24 hours, the "
        "same key and request return the stored response; another request with that key gets 409."
    ),
)
PREFER = OpenApiParameter(
    "Prefer",
    {"type": "string", "examples": ["wait=10"]},
    OpenApiParameter.HEADER,
    description="`wait=10` waits up to that many seconds for the verdict: 0 to 30, 10 by default.",
)


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
    fmr = QueryNumber(
        required=False, min_value=1e-9, max_value=0.1, help_text="False match rate of pairs; 1e-4 by default."
    )
    min_similarity = QueryNumber(
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
    face = Face(required=False, default="only", help_text="`only`, `largest`, or left,top,width,height.")


class IdentifyQuery(PairThresholdQuery):
    max_candidates = QueryWhole(required=False, default=5, min_value=1, max_value=MAX_CANDIDATES)
    max_faces = QueryWhole(required=False, default=10, min_value=1, max_value=MAX_FACES)
    fpir = QueryNumber(
        required=False,
        min_value=1e-6,
        max_value=0.5,
        help_text="Share of searches for strangers that may return a match; 0.01 by default.",
    )
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")
    include_below = QueryTruth(
        required=False, default=False, help_text="List candidates below the threshold too."
    )


class DetectQuery(QuerySerializer):
    max_faces = QueryWhole(required=False, default=MAX_FACES, min_value=1, max_value=MAX_FACES)


class EnrolQuery(QuerySerializer):
    face = Face(required=False, default="only", help_text="`only`, `largest`, or left,top,width,height.")
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto")


class PageQuery(QuerySerializer):
    cursor = Text(required=False, help_text="From `next` or `previous`.")
    page_size = QueryWhole(required=False, min_value=1, max_value=200, help_text="50 by default.")


class PersonQuery(PageQuery):
    status = serializers.ChoiceField(
        Person.Status.choices,
        required=False,
        help_text="By default merged people are listed only if asked for by external_id.",
    )
    external_id = Text(required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    search = Text(required=False, help_text="In name and external_id.")
    ordering = serializers.ChoiceField(
        ["created_at", "-created_at", "name", "-name", "external_id", "-external_id"],
        required=False,
        help_text="`-created_at` by default. People without an external_id come last.",
    )


class PhotoQuery(PageQuery):
    status = serializers.ChoiceField(Photo.Status.choices, required=False)


class ImportQuery(QuerySerializer):
    dry_run = QueryTruth(required=False, default=False, help_text="Judge every file, and enrol nothing.")


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
