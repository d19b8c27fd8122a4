"""The headers of responses, each defined once under components/headers."""

from __future__ import annotations

from typing import Any

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Id of the request, as in the server's log. To choose it yourself, send the "
        "same header: 1 to 64 letters, digits and the signs _ . -",
        "schema": {"type": "string"},
        "required": True,
    },
    "RateLimit-Limit": {
        "description": "How many requests the key may make in the current window.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "RateLimit-Remaining": {
        "description": "How many requests are left in the current window.",
        "schema": {"type": "integer", "minimum": 0},
        "required": True,
    },
    "RateLimit-Reset": {
        "description": "Seconds until the window ends.",
        "schema": {"type": "integer", "minimum": 0},
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer", "minimum": 0},
        "required": True,
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
        "required": True,
    },
    "Location": {
        "description": "URL of the resource that the response describes.",
        "schema": {"type": "string", "format": "uri"},
        "required": True,
    },
    "Preference-Applied": {
        "description": "The maximum wait that was applied, if the request had the header `Prefer`.",
        "schema": {"type": "string", "examples": ["wait=10"]},
    },
    "Idempotent-Replayed": {
        "description": "`true` if this is the stored response to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
RATE_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def references(*names: str) -> dict[str, Any]:
    """Return the value of `headers` in a response that has these."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
