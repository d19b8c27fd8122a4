from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from people import api_keys
from people.models import Collection
from people.models.api_key import SCOPES
from tests.actors import STAFF
from tests.api.program import Program


@pytest.fixture
def program(collection: Collection) -> Callable[..., Program]:
    """Return a function that creates a program whose key has the given scopes (by default all)."""

    def create(*scopes: str, **fields: Any) -> Program:
        _, text = api_keys.issue(label="test", scopes=scopes or SCOPES, **fields, actor=STAFF)
        client = Program(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return client

    return create


@pytest.fixture
def api(program: Callable[..., Program]) -> Program:
    return program()


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """Return the OpenAPI document, with every object closed to members that it does not name."""
    generator: Any = SchemaGenerator  # has no annotations
    schema: dict[str, Any] = generator().get_schema(request=None, public=True)
    for component in schema["components"]["schemas"].values():
        if "properties" in component:
            component["additionalProperties"] = False
    return schema


@pytest.fixture
def fits(document: dict[str, Any]) -> Callable[[str, Any], None]:
    """Return a function that checks that content fits the document's component of this name."""

    def fits(name: str, content: Any) -> None:
        root = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = [
            f"{list(error.path)}: {error.message}"
            for error in Draft202012Validator(root).iter_errors(content)
        ]
        assert errors == []

    return fits
