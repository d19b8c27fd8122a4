"""The bases of request bodies, and the check of a body's members."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers
from rest_framework.request import Request

from people.api.requests.fields import Metadata, Number, Text, Truth, Whole

UNKNOWN_FIELD = "Unknown field. Send parameters in the URL's query string, not in the body."
READ_ONLY_FIELD = "This field is read-only."
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


def members(request: Request, names: Names[str]) -> Mapping[str, Any]:
    """Return the body's members, which must be among these names."""
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError(
            {"request": 'Send a JSON object, for example {"photo": {"base64": "…"}}.'}
        )
    if unknown := {name: [UNKNOWN_FIELD] for name in request.data if name not in names}:
        raise serializers.ValidationError(unknown)
    return request.data
