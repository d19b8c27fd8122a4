"""/health says that the process lives; /ready says that it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from people.engines import get_engine
from people.errors import FacerecError
from people.indexes import get_index, remote_index
from people.models.photo import photo_storage

SECONDS = 3.0
"""In all: whoever asks gives up soon after, and would not learn which part it is."""


class HealthMiddleware:
    """Answer /health before host checks and redirects: load balancers ask by IP and over HTTP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/health":
            return JsonResponse({"status": "ok"})
        return self.get_response(request)


def ready(request: HttpRequest) -> HttpResponse:
    """Report the state of each part; 503 when no request can be answered.

    Without a broker enrolments are delayed, without photo storage there are none, and without a remote
    index the database is searched: the status is `degraded` then, and the response still 200. A part that
    doesn't answer within SECONDS is unavailable.
    """
    asked = {name: _THREADS[name].submit(_state, check) for name, check in _CHECKS.items()}
    wait(asked.values(), timeout=SECONDS)
    parts = {name: state.result() if state.done() else "unavailable" for name, state in asked.items()}
    for state in asked.values():
        state.cancel()  # it only waited for a part that still hangs
    needed = ("database", "engine") if remote_index() is not None else ("database", "engine", "index")
    if any(parts[name] != "ok" for name in needed):
        return JsonResponse({"status": "unavailable", **parts}, status=503)
    whole = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if whole else "degraded", **parts})


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _engine() -> None:
    get_engine()


def _index() -> None:
    get_index().check()


def _broker() -> None:
    url = settings.CELERY_BROKER_URL
    with current_app.connection_for_write(connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
        if url.startswith("sqs://"):  # connecting to it asks nothing yet
            channel: Any = broker.default_channel
            channel._size("celery")


def _storage() -> None:
    storage: Any = photo_storage()
    storage.check()


def _state(check: Callable[[], None]) -> str:
    try:
        try:
            check()
        finally:
            connections.close_all()  # those of this thread: no request ends in it
    except FacerecError as error:
        return error.code
    except Exception:  # whatever fails here, the answer is "not ready", with no inner detail
        return "unavailable"
    return "ok"


_CHECKS = {
    "database": _database,
    "engine": _engine,
    "index": _index,
    "broker": _broker,
    "storage": _storage,
}
# One each: a part that hangs keeps its own thread, and no other part's.
_THREADS = {name: ThreadPoolExecutor(1, thread_name_prefix=f"ready-{name}") for name in _CHECKS}
