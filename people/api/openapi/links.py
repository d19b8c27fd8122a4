"""Links: which operations can follow a response, and which of its values they use.

They follow from the routes. A response that shows a resource links to every operation whose path needs
that resource's id. All other parameters must be in the request's own path or in the response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_IDENTIFIERS: dict[str, dict[str, str]] = {
    # component: the member of it that each path parameter takes; the first one is the resource's own
    "Collection": {"collection": "name"},
    "Person": {"person": "id", "collection": "collection"},
    "Photo": {"photo": "id", "person": "person"},
    "Import": {"job": "id"},
    "Merge": {"merge": "id"},
    "Erasure": {"erasure": "id"},
}


def add_links(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Add links to the responses of the document's paths, and return those for components/links."""
    operations = list(_operations(paths))
    links: dict[str, Any] = {}
    for _, operation in operations:
        path_values = {name: f"$request.path.{name}" for name in _path_parameters(operation)}
        for response in operation["responses"].values():
            resource = _component(response)
            if resource not in _IDENTIFIERS:
                continue
            members = _IDENTIFIERS[resource]
            values = path_values | {name: f"$response.body#/{member}" for name, member in members.items()}
            for _, target in operations:
                needed = _path_parameters(target)
                if next(iter(members)) in needed and needed <= values.keys():
                    name = f"{resource}.{target['operationId']}"
                    links[name] = {
                        "operationId": target["operationId"],
                        "parameters": {parameter: values[parameter] for parameter in sorted(needed)},
                    }
                    response.setdefault("links", {})[target["operationId"]] = {
                        "$ref": f"#/components/links/{name}"
                    }
    return links


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in paths.items():
        for operation in item.values():
            yield path, operation


def _path_parameters(operation: Mapping[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}


def _component(response: Mapping[str, Any]) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]
