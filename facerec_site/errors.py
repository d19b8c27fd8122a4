"""What is answered when no view does: problem details under /api/, pages elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import defaults

from people.api import problems
from people.outages import is_outage

logger = logging.getLogger(__name__)
_AWAY = (
    "<!doctype html><title>Not available now</title><h1>Not available now</h1>"
    "<p>A part of the service is away. Try again in a few seconds.</p>"
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problems.not_found(request, exception)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    if error is not None and is_outage(error):
        return _away(request)
    if request.path.startswith("/api/"):
        return problems.server_error(request)
    return defaults.server_error(request)


class OutageMiddleware:
    """When database or storage are away, every page says so: 503 with Retry-After.

    For errors of views; those of other middleware come to `server_error`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not is_outage(error):
            return None
        logger.error("A part of the service is away: %s", type(error).__name__)
        return _away(request)


def _away(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problems.outage(request)
    return HttpResponse(_AWAY, status=503, headers={"Retry-After": str(problems.RETRY_AFTER_SECONDS)})
