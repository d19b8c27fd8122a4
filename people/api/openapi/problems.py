"""Problem documents, and which of them each operation returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, TypeVar

from rest_framework import serializers

from people import errors
from people.api.openapi.headers import references
from people.api.responses.base import CodedSerializer
from people.api.responses.faces import BoxSerializer, ReasonSerializer
from people.errors import FacerecError

_Operation = TypeVar("_Operation", bound=Callable[..., Any])
Kinds = tuple[type[FacerecError], ...]

ALWAYS: Kinds = (
    errors.Malformed, errors.Invalid, errors.NotAuthenticated, errors.NotAllowed, errors.NotAcceptable,
    errors.TooManyRequests, errors.DatabaseUnavailable, FacerecError,
)  # fmt: skip
WITH_A_PATH: Kinds = (errors.NotFound,)
WITH_A_BODY: Kinds = (errors.TooLarge, errors.UnsupportedMediaType)
WITH_AN_IDEMPOTENCY_KEY: Kinds = (errors.IdempotencyConflict, errors.IdempotencyInProgress)
PHOTO: Kinds = (
    errors.PhotoMissing, errors.PhotoEmpty, errors.PhotoTooLarge, errors.NotAnImage, errors.UnreadablePhoto,
    errors.TooManyPixels, errors.BucketNotAllowed, errors.ObjectNotFound, errors.StorageUnavailable,
)  # fmt: skip
"""Errors of a photo as a file, wherever one is sent."""
PROBE: Kinds = (*PHOTO, errors.ModelMissing, errors.Overloaded)
"""As PHOTO, where the response waits for the photo to be processed."""

CHOSEN_FACE: Kinds = (errors.NoFaceFound, errors.SeveralFacesFound, errors.FaceNotThere)
"""Errors of operations that use one face of the photo."""


class ProblemSerializer(CodedSerializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="Always `about:blank`: `code` names the problem.")
    title = serializers.CharField(help_text="The status as a phrase.")
    status = serializers.IntegerField(help_text="HTTP status of the response.")
    request_id = serializers.CharField(
        help_text="Id of the request, as in the header X-Request-ID. Quote it when you ask for help."
    )
    # Any, because a Serializer has an attribute with this name
    errors: Any = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages by the dotted name of the field.",
    )
    reasons = ReasonSerializer(many=True, required=False, help_text="The failed quality checks.")
    face = BoxSerializer(required=False, help_text="The face that failed the quality check.")
    faces = BoxSerializer(many=True, required=False, help_text="The faces that you can choose from.")
    kept = serializers.UUIDField(
        required=False, help_text="Id of the person to use instead of the merged one."
    )
    merge = serializers.UUIDField(required=False, help_text="Id of the merge to undo first.")


def raises(*kinds: type[FacerecError]) -> Callable[[_Operation], _Operation]:
    """Declare the errors that an operation returns, apart from those that follow from its request."""

    def mark(operation: _Operation) -> _Operation:
        holder: Any = operation
        holder.raises = kinds
        return operation

    return mark


def responses(kinds: Iterable[type[FacerecError]]) -> dict[str, Any]:
    """Return the responses with these errors, by status."""
    ordered = sorted(dict.fromkeys(kinds), key=lambda kind: kind.status)
    return {
        str(status): _response(status, list(same_status))
        for status, same_status in groupby(ordered, key=lambda kind: kind.status)
    }


def examples() -> dict[str, Any]:
    """Return an example of each error, by its code, for components/examples."""
    return {
        code: {"value": kind().as_problem("5f0c6c5e")}
        for code, kind in sorted(errors.every_code().items())
        if kind.reported_in == "response"
    }


def _response(status: int, kinds: list[type[FacerecError]]) -> dict[str, Any]:
    headers = ["X-Request-ID"]
    headers += ["WWW-Authenticate"] if status == 401 else []
    headers += ["Retry-After"] if status in (429, 503) else []
    title = kinds[0]().as_problem("")["title"]
    return {
        "description": f"{title}: {', '.join(f'`{kind.code}`' for kind in kinds)}.",
        "headers": references(*headers),
        "content": {
            errors.PROBLEM_CONTENT_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds},
            }
        },
    }
