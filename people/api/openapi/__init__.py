"""The parts of the OpenAPI document that don't follow from serializers and routes."""

from people.api.openapi.problems import raises

__all__ = ["raises"]
