"""The OpenAPI document, as far as it doesn't follow from serializers and routes alone."""

from people.api.openapi.problems import raises

__all__ = ["raises"]
