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
ONE_THRESHOLD = "Send only one of fpir, fmr and min_similarity."
_FMR = (
    "Threshold as a false match rate: the share of pairs of different people that may match. For verify and "
    "compare, the default is 1e-4."
)
_MIN_SIMILARITY = "Threshold as the lowest similarity that is a match, 0–100."
_QUALITY = (
    "Quality that a face must have: `none` accepts every face, then `low`, `auto`, `medium` and `high` are "
    "increasingly strict."
)
_FACE = (
    "Which face of the photo to use: `only` (the photo must show exactly one), `largest`, or the face at "
    "`left,top,width,height`, a box that `detect` or a `several_faces` error returned for this photo."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description=(
        "A value of your choice that makes it safe to repeat the request, such as a UUID. Use a new one for "
        "each operation. For 24 hours, the same request with the same key returns the stored response; a "
        "different request with that key returns 409. Errors are not stored, so a request that failed can be "
        "repeated with the same key."
    ),
)
PREFER = OpenApiParameter(
    "Prefer",
    {"type": "string", "examples": ["wait=10"]},
    OpenApiParameter.HEADER,
    description=(
        "How many seconds to wait for the photo to be processed, as `wait=10`: 0 to 30, by default 10. The "
        "response has status 202 if processing takes longer."
    ),
)


def _maximum(help_text: str, *, default: int, limit: int) -> QueryWhole:
    """Return a parameter for the maximum length of a list, from 1 to `limit`."""
    return QueryWhole(required=False, default=default, min_value=1, max_value=limit, help_text=help_text)


class QuerySerializer(serializers.Serializer[Any]):
    """The base of query strings. An unknown parameter is refused, so that typos don't go unnoticed."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """Return the request's validated parameters. Raises ValidationError."""
        query = request.query_params
        serializer = cls(data=query.dict())
        unknown = {name: ["Unknown parameter."] for name in query if name not in serializer.fields}
        repeated = {
            name: ["Send this parameter only once."] for name in query if len(query.getlist(name)) > 1
        }
        if unknown or repeated:
            raise serializers.ValidationError(unknown | repeated)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class NoQuery(QuerySerializer):
    pass


class PairThresholdQuery(QuerySerializer):
    fmr = QueryNumber(required=False, min_value=1e-9, max_value=0.1, help_text=_FMR)
    min_similarity = QueryNumber(required=False, min_value=0, max_value=100, help_text=_MIN_SIMILARITY)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        thresholds = [name for name in ("fpir", "fmr", "min_similarity") if name in attrs]
        if len(thresholds) > 1:
            raise serializers.ValidationError({name: [ONE_THRESHOLD] for name in thresholds})
        return attrs


class CompareQuery(PairThresholdQuery):
    pass


class VerifyQuery(PairThresholdQuery):
    face = Face(required=False, default="only", help_text=_FACE)


class IdentifyQuery(PairThresholdQuery):
    max_candidates = _maximum("Maximum number of candidates for each face.", default=5, limit=MAX_CANDIDATES)
    max_faces = _maximum(
        "Maximum number of faces to search, largest first. The others are skipped.",
        default=10,
        limit=MAX_FACES,
    )
    fpir = QueryNumber(
        required=False,
        min_value=1e-6,
        max_value=0.5,
        help_text="Threshold as a false positive identification rate: the share of searches for people who "
        "aren't in the collection that may return a match. It takes the collection's size into account. "
        "Without any threshold parameter, the collection's own setting applies, which is 0.01 by default.",
    )
    quality = serializers.ChoiceField(
        LEVELS, required=False, default="auto", help_text=f"{_QUALITY} Other faces are skipped."
    )
    include_below = QueryTruth(
        required=False, default=False, help_text="Whether to list candidates below the threshold as well."
    )


class DetectQuery(QuerySerializer):
    max_faces = _maximum(
        "Maximum number of faces to return, largest first. The others are listed as skipped.",
        default=MAX_FACES,
        limit=MAX_FACES,
    )


class EnrolQuery(QuerySerializer):
    face = Face(required=False, default="only", help_text=_FACE)
    quality = serializers.ChoiceField(LEVELS, required=False, default="auto", help_text=_QUALITY)


class PageQuery(QuerySerializer):
    cursor = Text(
        required=False, help_text="Position in the list, taken from the URL in `next` or `previous`."
    )
    page_size = QueryWhole(
        required=False, min_value=1, max_value=200, help_text="Number of rows on a page, by default 50."
    )


class PersonQuery(PageQuery):
    status = serializers.ChoiceField(
        Person.Status.choices,
        required=False,
        help_text="Only people with this status. Without it, merged people are listed only if you filter by "
        "`external_id`.",
    )
    external_id = Text(required=False, help_text="Only the person with this external_id.")
    created_after = serializers.DateTimeField(
        required=False, help_text="Only people created at this time or later."
    )
    created_before = serializers.DateTimeField(
        required=False, help_text="Only people created before this time."
    )
    search = Text(
        required=False, help_text="Only people whose name or external_id contains this text, in any case."
    )
    ordering = serializers.ChoiceField(
        ["created_at", "-created_at", "name", "-name", "external_id", "-external_id"],
        required=False,
        help_text="Order of the list, descending with `-`. By default `-created_at`, newest first. When "
        "ordered by external_id, people without one come last.",
    )


class PhotoQuery(PageQuery):
    status = serializers.ChoiceField(
        Photo.Status.choices, required=False, help_text="Only photos with this status."
    )


class ImportQuery(QuerySerializer):
    dry_run = QueryTruth(
        required=False, default=False, help_text="Whether to check every file without enrolling anything."
    )


class ItemQuery(PageQuery):
    state = serializers.ChoiceField(
        ImportItem.State.choices, required=False, help_text="Only files with this result."
    )


def threshold_choice(query: Mapping[str, Any]) -> ThresholdChoice | None:
    """Return the query's threshold, or None if it has none."""
    choice = ThresholdChoice(query.get("fpir"), query.get("fmr"), query.get("min_similarity"))
    return choice if choice.is_made() else None


def wait_seconds(request: Request) -> int:
    """Return how long the client will wait, 0–30 seconds, from `Prefer: wait=10` (RFC 7240)."""
    preference = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", request.headers.get("Prefer", ""))
    return min(int(preference[1]), MAX_WAIT_SECONDS) if preference else DEFAULT_WAIT_SECONDS
