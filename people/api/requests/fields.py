"""Fields that accept exactly the types in the OpenAPI document, without conversion.

REST framework's own fields convert: a number becomes text, "yes" becomes true, and "NaN" becomes a number
that no limit excludes. Clients would notice late that they sent something other than they meant.
"""

from __future__ import annotations

import math
import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from people.models.collection import validate_key

KEY = r"^[a-zA-Z0-9_.\-:]*$"


class Text(serializers.CharField):
    """A JSON string, kept unchanged."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Truth(serializers.BooleanField):
    """JSON `true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Number(serializers.FloatField):
    """A JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not math.isfinite(data):
            self.fail("invalid")
        return float(data)


class Whole(serializers.IntegerField):
    """A JSON number without a fraction."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            self.fail("invalid")
        return int(data)


class Id(serializers.UUIDField):
    """A UUID as a JSON string."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "byte", "contentEncoding": "base64", "minLength": 1})
class Base64(Text):
    """Bytes in base64."""


@extend_schema_field({"type": "string", "pattern": KEY, "maxLength": 255})
class ExternalId(Text):
    """A client's own id of a person. An empty string means none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "allow_blank": True,
                "allow_null": True,
                "max_length": 255,
                "validators": [validate_key],
                "help_text": "Your own id for the person, unique in the collection. Null or an empty "
                "string means none.",
                **options,
            }
        )


@extend_schema_field({"type": "object", "additionalProperties": {}})
class Metadata(serializers.JSONField):
    """A JSON object. The model checks its size."""


class QueryTruth(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class QueryNumber(serializers.FloatField):
    """A decimal number, such as 0.01 or 1e-4."""

    def to_internal_value(self, data: Any) -> float:
        if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", data):
            self.fail("invalid")
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return float(number)


class QueryWhole(serializers.IntegerField):
    """A whole number, written in digits."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"-?[0-9]{1,40}", data):
            self.fail("invalid")
        return int(data)


_PIXELS = r"-?[0-9]{1,5}(\.[0-9]{1,3})?"
FACE = rf"^(only|largest|({_PIXELS},){{3}}{_PIXELS})$"


@extend_schema_field({"type": "string", "pattern": FACE, "examples": ["largest", "120,80,210,260"]})
class Face(serializers.CharField):
    """`only`, `largest`, or `left,top,width,height` in pixels of the upright photo as decoded."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if text in ("only", "largest"):
            return text
        if re.fullmatch(rf"({_PIXELS},){{3}}{_PIXELS}", text):
            return [float(number) for number in text.split(",")]
        raise serializers.ValidationError("Use `only`, `largest`, or `left,top,width,height` in pixels.")
