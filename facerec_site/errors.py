"""What is answered when no view does: problem details under /api/, pages elsewhere."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from people.api import problems
from people.errors import RETRY_AFTER_SECONDS
from people.outages import is_outage

_AWAY = (
    "<!doctype html><title>Not available now</title><h1>Not available now</h1>"
    "<p>A part of the service is away. Try again in a few seconds.</p>"
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problems.not_found(request, exception)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say 503 with Retry-After when database or storage are away, of every page; else 500."""
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    if isinstance(error, Exception) and is_outage(error):
        if request.path.startswith("/api/"):
            return problems.outage(request, error)
        return HttpResponse(_AWAY, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if request.path.startswith("/api/"):
        return problems.server_error(request)
    return defaults.server_error(request)
