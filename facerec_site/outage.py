"""When database or storage are away, every page says so: 503 with Retry-After, and no stack."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from people.api.problems import RETRY_AFTER_SECONDS
from people.outages import is_outage

logger = logging.getLogger(__name__)
_PAGE = (
    "<!doctype html><title>Not available now</title><h1>Not available now</h1>"
    "<p>A part of the service is away. Try again in a few seconds.</p>"
)


class OutageMiddleware:
    """Outermost of those that may ask the database; the API answers its own outages as problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not is_outage(error):
            return None
        logger.error("A part of the service is away: %s", type(error).__name__)
        return HttpResponse(_PAGE, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
