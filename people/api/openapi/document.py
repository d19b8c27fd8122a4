"""The last step in generating the OpenAPI document: changes to the document as a whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

from people.api.openapi import problems
from people.api.openapi.headers import HEADERS
from people.api.openapi.introduction import INTRODUCTION, TAGS
from people.api.openapi.links import add_links

_NOISE = ("readOnly", "title")
"""Requests and responses have separate components, so `readOnly` adds nothing. Titles are form labels, which
client generators would turn into names."""


def complete(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the document with shared components and links, and without noise. A hook of drf-spectacular."""
    result["info"]["description"] += f"\n\n{INTRODUCTION.strip()}"
    result["tags"] = TAGS
    components = result["components"]
    components["schemas"] = {name: _tidy(schema) for name, schema in components["schemas"].items()}
    for name, schema in components["schemas"].items():
        if name.endswith("Request") and "properties" in schema:
            schema["additionalProperties"] = False  # see people.api.requests.base.Body
    result["paths"] = {path: _tidy(item) for path, item in result["paths"].items()}
    _name_enums(result["paths"], components["schemas"])
    components["headers"] = HEADERS
    components["examples"] = problems.examples()
    components["links"] = add_links(result["paths"])
    components["responses"] = _share(result["paths"])
    return result


def _tidy(schema: Any) -> Any:
    """Return a schema, or anything that contains schemas, without noise."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {name: _tidy(value) for name, value in schema.items() if not _is_noise(name, value)}
    if "enum" in tidied:
        tidied.pop("minLength", None)
    match tidied:
        case {"allOf": [dict(only)]} if len(tidied) == 1:
            return only
    return tidied


def _name_enums(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Make parameters refer to the component with the same choices, so that clients have one type."""
    names = {tuple(schema["enum"]): name for name, schema in schemas.items() if "enum" in schema}
    for item in paths.values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                if name := names.get(tuple(schema.get("enum", ()))):
                    del schema["type"], schema["enum"]
                    reference = {"$ref": f"#/components/schemas/{name}"}
                    parameter["schema"] = _tidy({"allOf": [reference], **schema})


def _is_noise(name: str, value: Any) -> bool:
    # the value of a property with such a name is a schema
    return name in _NOISE and not isinstance(value, dict)


def _share(paths: dict[str, Any]) -> dict[str, Any]:
    """Move problem responses that several operations have to components/responses, and return these."""
    responses = [operation["responses"] for item in paths.values() for operation in item.values()]
    uses = Counter(
        (status, response["description"])
        for by_status in responses
        for status, response in by_status.items()
        if status >= "400"
    )
    shared: dict[str, Any] = {}
    for by_status in responses:
        for status, response in by_status.items():
            codes = response["description"]
            if uses[status, codes] > 1:
                name = _names(response, status)
                shared[name] = response
                by_status[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _names(response: dict[str, Any], status: str) -> str:
    (media,) = response["content"].values()
    return "-".join([status, *media["examples"]])
