"""/health says that the process lives; /ready says that it can do its work."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from people.engines import get_engine
from people.errors import FacerecError
from people.indexes import get_index


class HealthMiddleware:
    """Answer /health before host checks and redirects: load balancers ask by IP and over HTTP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/health":
            return JsonResponse({"status": "ok"})
        return self.get_response(request)


def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when database, engine and index all answer, else 503 naming the one that doesn't."""
    parts: dict[str, str] = {}
    for name, check in {"database": _database, "engine": _engine, "index": _index}.items():
        try:
            check()
            parts[name] = "ok"
        except FacerecError as error:
            parts[name] = error.code
        except Exception:  # whatever fails here, the answer is "not ready", with no inner detail
            parts[name] = "unavailable"
    is_ready = all(state == "ok" for state in parts.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "unavailable", **parts}, status=200 if is_ready else 503
    )


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _engine() -> None:
    get_engine()


def _index() -> None:
    get_index().check()
