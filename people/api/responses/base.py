"""Serializers that only write, and the numbers they write."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from people.actors import request_id


# Base of shapes that the API only sends. A docstring would become the description of each in the document.
class ResponseSerializer(serializers.Serializer[Any]):
    pass


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
    """The id of the request being answered."""

    def __init__(self) -> None:
        super().__init__(source="*")

    def to_representation(self, value: Any) -> str:
        return request_id.get()
