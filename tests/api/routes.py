"""Every operation of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from people.api.urls import urlpatterns

SOME_ID = "00000000-0000-0000-0000-000000000000"


def _routes() -> Iterator[tuple[str, str]]:
    """Yield method and path of every operation of the API, with ids that don't exist."""
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        for name in pattern.pattern.converters:
            value = "default" if name == "collection" else SOME_ID
            route = route.replace(f"<uuid:{name}>", value).replace(f"<str:{name}>", value)
        view: Any = pattern.callback
        yield from (
            (name.upper(), f"/api/v1/{route}")
            for name in ("get", "post", "patch", "delete")
            if hasattr(view.cls, name)
        )


ROUTES = list(_routes())
