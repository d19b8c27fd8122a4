"""Health checks: /health reports that the process is alive, /ready whether it can serve requests."""

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
"""Deadline for all checks. Callers time out soon after and would not learn which part is unavailable."""


class HealthMiddleware:
    """Responds to /health before host checks and redirects: load balancers use an IP address and HTTP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/health":
            return JsonResponse({"status": "ok"})
        return self.get_response(request)


def ready(request: HttpRequest) -> HttpResponse:
    """Return the state of each part, with status 503 if the service can't process any request.

    Without the broker, enrolments are delayed. Without photo storage, there are none. Without the remote
    index, searches use the database. In these cases the HTTP status is still 200 and the body's `status`
    is `degraded`. A part that doesn't respond within SECONDS is `unavailable`.
    """
    pending_states = {name: _THREADS[name].submit(_state, check) for name, check in _CHECKS.items()}
    wait(pending_states.values(), timeout=SECONDS)
    parts = {
        name: state.result() if state.done() else "unavailable" for name, state in pending_states.items()
    }
    for state in pending_states.values():
        state.cancel()  # if it is still queued behind an earlier check that hangs
    required_parts = ("database", "engine") if remote_index() is not None else ("database", "engine", "index")
    if any(parts[name] != "ok" for name in required_parts):
        return JsonResponse({"status": "unavailable", **parts}, status=503)
    all_ok = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if all_ok else "degraded", **parts})


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
        if url.startswith("sqs://"):  # connecting doesn't send a request yet
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
            connections.close_all()  # of this thread; Django closes them only in threads that handle requests
    except FacerecError as error:
        return error.code
    except Exception:  # whatever the error, the part isn't ready; its details stay private
        return "unavailable"
    return "ok"


_CHECKS = {
    "database": _database,
    "engine": _engine,
    "index": _index,
    "broker": _broker,
    "storage": _storage,
}
# One thread for each part, so that a part that hangs doesn't delay the check of another.
_THREADS = {name: ThreadPoolExecutor(1, thread_name_prefix=f"ready-{name}") for name in _CHECKS}
