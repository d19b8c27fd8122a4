"""One id a request: taken from X-Request-ID when it is sane, made otherwise; in answers, logs and audit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bound_contextvars

from people.actors import request_id as current

_SANE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = request.headers.get("X-Request-ID", "")
        request_id = sent if _SANE.fullmatch(sent) else str(uuid.uuid4())
        token = current.set(request_id)
        request.META["facerec.request_id"] = request_id
        try:
            with bound_contextvars(request_id=request_id):
                response = self.get_response(request)
        finally:
            current.reset(token)
        response["X-Request-ID"] = request_id
        return response
