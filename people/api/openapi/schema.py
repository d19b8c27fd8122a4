"""Describe an operation: add what follows from its view to what its decorator declares."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

from people.api.openapi import problems
from people.api.openapi import security as security  # importing it registers it with drf-spectacular
from people.api.openapi.headers import RATE_LIMITS, references
from people.errors import FacerecError
from people.models.collection import COLLECTION_NAME

_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "collection": {
        "description": "The collection's name.",
        "schema": {"type": "string", "pattern": COLLECTION_NAME, "maxLength": 255},
    },
    "person": {"description": "The person's id."},
    "photo": {"description": "The photo's id."},
    "job": {"description": "The import's id."},
    "merge": {"description": "The merge's id."},
    "erasure": {"description": "The erasure's id."},
}
_MEANINGS = {
    "200": "Success.",
    "201": "Created.",
    "202": "Accepted; processing continues in the background.",
    "204": "Deleted.",
}


class Schema(AutoSchema):
    """Adds scopes, errors and headers to each operation."""

    def get_tags(self) -> list[str]:
        view: Any = self.view
        return [view.tag]

    def get_operation(self, *args: Any, **options: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **options)
        if operation is None:
            return None
        view: Any = self.view
        scopes = " and ".join(f"`{scope}`" for scope in view.scopes[self.method])
        operation["description"] += f"\n\nScope: {scopes}."
        parameters = operation.get("parameters", [])
        for parameter in parameters:
            if parameter["in"] == "path":
                parameter |= _PATH_PARAMETERS[parameter["name"]]
        names = {parameter["name"] for parameter in parameters}
        for status, response in operation["responses"].items():
            response["description"] = _MEANINGS[status]
            response["headers"] = references("X-Request-ID", *RATE_LIMITS)
            if status in ("201", "202") or "Prefer" in names:
                response["headers"] |= references("Location")
            if "Prefer" in names:
                response["headers"] |= references("Preference-Applied")
            if "Idempotency-Key" in names:
                response["headers"] |= references("Idempotent-Replayed")
        self.resolve_serializer(problems.ProblemSerializer, "response")
        operation["responses"] |= problems.responses(self._errors(operation, names))
        return operation

    def _errors(self, operation: dict[str, Any], names: set[str]) -> list[type[FacerecError]]:
        kinds = [*problems.ALWAYS, *getattr(getattr(self.view, self.method.lower()), "raises", ())]
        if "{" in self.path:
            kinds += problems.WITH_A_PATH
        if "requestBody" in operation:
            kinds += problems.WITH_A_BODY
        if "Idempotency-Key" in names:
            kinds += problems.WITH_AN_IDEMPOTENCY_KEY
        return kinds
