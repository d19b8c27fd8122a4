"""Gives each request an id: a valid X-Request-ID from the client, otherwise a new one.

The id is in the response, in log lines and in audit events.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bound_contextvars

from people.actors import request_id as current_request_id

_VALID_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        client_id = request.headers.get("X-Request-ID", "")
        request_id = client_id if _VALID_ID.fullmatch(client_id) else str(uuid.uuid4())
        token = current_request_id.set(request_id)
        request.META["facerec.request_id"] = request_id
        try:
            with bound_contextvars(request_id=request_id):
                response = self.get_response(request)
        finally:
            current_request_id.reset(token)
        response["X-Request-ID"] = request_id
        return response
