"""The bases of response serializers, the fields for their numbers, and `help_texts` for those of models."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from people.actors import request_id


# The base of shapes that are only sent, never received. A docstring here would become the description of
# each of them in the OpenAPI document.
class ResponseSerializer(serializers.Serializer[Any]):
    pass


class CodedSerializer(ResponseSerializer):
    """A problem, with a code for programs and a sentence for people."""

    code = serializers.CharField(help_text="Stable code for programs. New codes may be added.")
    detail = serializers.CharField(help_text="What happened and what to do, as a human-readable sentence.")


def help_texts(**texts: str) -> dict[str, dict[str, Any]]:
    """Return the texts by field, in the form of a ModelSerializer's `extra_kwargs`."""
    return {name: {"help_text": text} for name, text in texts.items()}


class Rounded(serializers.FloatField):
    """A number with at most `digits` decimals."""

    def __init__(self, digits: int, **options: Any) -> None:
        super().__init__(**options)
        self._digits = digits

    def to_representation(self, value: Any) -> Any:
        return round(float(value), self._digits)


class Rate(serializers.FloatField):
    """A rate, such as 6e-06, with 3 significant digits."""

    def to_representation(self, value: Any) -> Any:
        return float(f"{value:.3g}")


class Pixels(serializers.IntegerField):
    """A length in whole pixels."""

    def to_representation(self, value: Any) -> Any:
        return round(value)


class RequestId(serializers.CharField):
    """The id of the current request."""

    def __init__(self) -> None:
        super().__init__(source="*", help_text="Id of this request, as in the header X-Request-ID.")

    def to_representation(self, value: Any) -> str:
        return request_id.get()
