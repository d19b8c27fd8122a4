"""A gunicorn worker that answers what it can't read with a problem document, as the API does.

Such a request never reaches Django, and often its path isn't known, so every client gets one. gunicorn's own
page would be HTML, and its log line would quote what the client sent.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from gunicorn import util
from gunicorn.http import errors as gunicorn_errors
from gunicorn.workers.gthread import ThreadWorker
from structlog.contextvars import bound_contextvars

from people.errors import (
    PROBLEM_CONTENT_TYPE,
    ExpectationFailed,
    FacerecError,
    HeadersTooLarge,
    Malformed,
    NotImplementedByServer,
    UriTooLong,
)

_KINDS: tuple[tuple[type[Exception], type[FacerecError]], ...] = (
    # the first that fits
    (gunicorn_errors.LimitRequestLine, UriTooLong),
    (gunicorn_errors.LimitRequestHeaders, HeadersTooLarge),
    (gunicorn_errors.ExpectationFailed, ExpectationFailed),
    (gunicorn_errors.UnsupportedTransferCoding, NotImplementedByServer),
    # in a response of ours; the stubs are those of gunicorn 26
    (gunicorn_errors.InvalidResponseHeader, FacerecError),  # type: ignore[attr-defined]
    (gunicorn_errors.InvalidResponseHeaderName, FacerecError),  # type: ignore[attr-defined]
    (gunicorn_errors.ConfigurationProblem, FacerecError),
    (gunicorn_errors.ParseException, Malformed),
    (Exception, FacerecError),
)


class RefusingWorker(ThreadWorker):
    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that can't be read, or that failed outside Django. Its connection closes then."""
        error = next((ours() for kind, ours in _KINDS if isinstance(exc, kind)), FacerecError())
        request_id = str(uuid.uuid4())
        with bound_contextvars(request_id=request_id):
            if type(error) is FacerecError:
                self.log.error("A request failed outside Django", exc_info=exc)
            else:
                self.log.warning("Invalid request: %s", type(exc).__name__)
            try:
                util.write_nonblock(client, response(error, request_id))
            except OSError:
                self.log.debug("The client has disconnected")


def response(error: FacerecError, request_id: str) -> bytes:
    """Return an HTTP response with the error, after which the connection is closed."""
    problem = error.as_problem(request_id)
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {error.status} {problem['title']}",
        "Connection: close",
        f"Content-Type: {PROBLEM_CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-ID: {request_id}",
        "",
        "",
    )
    return "\r\n".join(head).encode() + body
