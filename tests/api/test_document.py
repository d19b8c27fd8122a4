"""The OpenAPI document, as read by client generators and people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from people.errors import FacerecError
from people.models import Person


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    generator: Any = SchemaGenerator  # has no annotations
    schema: dict[str, Any] = generator().get_schema(request=None, public=True)
    return schema


def _operations(served: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in served["paths"].values():
        yield from item.values()


def _values(name: str, within: Any) -> Iterator[Any]:
    """Yield each value of a member of this name, at any depth."""
    if isinstance(within, dict):
        if name in within:
            yield within[name]
        for value in within.values():
            yield from _values(name, value)
    elif isinstance(within, list):
        for value in within:
            yield from _values(name, value)


def test_responses_and_requests_list_different_statuses_of_people(served: dict[str, Any]) -> None:
    schemas = served["components"]["schemas"]
    assert schemas["PersonStatus"]["enum"] == Person.Status.values
    assert schemas["SettablePersonStatus"]["enum"] == ["active", "suspended"]
    assert schemas["Person"]["properties"]["status"]["allOf"][0]["$ref"].endswith("/PersonStatus")


def test_the_document_uses_openapi_3_1_and_has_no_noise(served: dict[str, Any]) -> None:
    for word in ("nullable", "readOnly", "example"):
        assert list(_values(word, served)) == []


def test_every_reference_has_its_target(served: dict[str, Any]) -> None:
    references = set(_values("$ref", served))
    assert len(references) > 100
    for reference in references:
        target: Any = served
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_operation_documents_its_errors_headers_scope_and_group(served: dict[str, Any]) -> None:
    for operation in _operations(served):
        responses = operation["responses"]
        assert {"400", "401", "403", "406", "429", "500", "503"} <= responses.keys()
        assert len(operation["tags"]) == 1
        assert "\n\nScope: `" in operation["description"]
        assert operation["summary"]
        has_path = any(parameter["in"] == "path" for parameter in operation.get("parameters", ()))
        assert ("404" in responses) == has_path
        assert ("413" in responses, "415" in responses) == ("requestBody" in operation,) * 2
        for status, response in responses.items():
            if status < "300":
                assert {"X-Request-ID", "RateLimit-Remaining"} <= response["headers"].keys()
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), parameter["name"]


def test_every_operation_has_a_unique_summary_of_at_most_60_characters(served: dict[str, Any]) -> None:
    summaries = [operation["summary"] for operation in _operations(served)]
    assert len(set(summaries)) == len(summaries)
    assert max(map(len, summaries)) <= 60


def test_every_field_has_a_description(served: dict[str, Any]) -> None:
    undescribed = {
        f"{name}.{field}"
        for name, component in served["components"]["schemas"].items()
        if not name.startswith("Paginated")
        for field, schema in component.get("properties", {}).items()
        if not schema.get("description")
    }
    assert undescribed == set()


def test_each_error_of_a_response_has_an_example_that_fits(served: dict[str, Any]) -> None:
    examples = served["components"]["examples"]
    problem = {"$ref": "#/components/schemas/Problem", "components": served["components"]}
    for code, example in examples.items():
        Draft202012Validator(problem).validate(example["value"])
        assert example["value"]["code"] == code
    assert FacerecError.code in examples
    for response in served["components"]["responses"].values():
        for media in response["content"].values():
            assert all(
                example["$ref"].rpartition("/")[2] in examples for example in media["examples"].values()
            )


def test_each_resource_links_to_its_operations(served: dict[str, Any]) -> None:
    operation_ids = {operation["operationId"] for operation in _operations(served)}
    links = served["components"]["links"]
    assert {link["operationId"] for link in links.values()} <= operation_ids
    assert links["Photo.withdrawPhoto"]["parameters"] == {
        "collection": "$request.path.collection",
        "person": "$response.body#/person",
        "photo": "$response.body#/id",
    }
    enrol = served["paths"]["/api/v1/collections/{collection}/persons/{person}/photos/"]["post"]
    assert set(enrol["responses"]["201"]["links"]) == {"getPhoto", "withdrawPhoto"}


def test_request_bodies_allow_no_additional_members(served: dict[str, Any]) -> None:
    for name, schema in served["components"]["schemas"].items():
        if name.endswith("Request") and schema.get("type") == "object":
            assert schema["additionalProperties"] is False
