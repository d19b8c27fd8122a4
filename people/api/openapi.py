"""What the OpenAPI document says of authentication and errors."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from people.api.answers.base import Answer
from people.api.answers.faces import BoxSerializer, ReasonSerializer
from people.errors import NoFaceFound


class ProblemSerializer(Answer):
    """RFC 9457 problem details. `people.api.problems` fills it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What to do.")
    code = serializers.CharField(help_text="Stable; what a program branches on.")
    request_id = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]  # a field named as Serializer's own attribute
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="By field."
    )
    reasons = ReasonSerializer(many=True, required=False)
    face = BoxSerializer(required=False, help_text="The face whose quality is too poor.")
    faces = BoxSerializer(many=True, required=False, help_text="The faces to choose from.")
    kept = serializers.UUIDField(required=False, help_text="The person to use instead of the merged one.")
    merge = serializers.UUIDField(required=False, help_text="The merge to undo first.")


PROBLEM = {
    ("4XX", "application/problem+json"): OpenApiResponse(
        ProblemSerializer,
        description="A problem, with a stable `code` and a `detail` that says what to do.",
        examples=[
            OpenApiExample("No face", NoFaceFound().as_problem("4be3…")),
        ],
    ),
    ("503", "application/problem+json"): OpenApiResponse(ProblemSerializer, description="Try again later."),
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "people.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "frk_<prefix>_<secret>"}


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "people.api.authentication.StaffSessionAuthentication"
    name = "StaffSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
