"""A gunicorn worker that responds to unreadable requests with a problem document, as the API does.

Such a request never reaches Django, and its path is often unknown, so browsers get a problem document as
well. gunicorn's own error page would be HTML, and its log line would quote what the client sent.
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

_ERRORS: tuple[tuple[type[Exception], type[FacerecError]], ...] = (
    # gunicorn's error and ours; the first match is used
    (gunicorn_errors.LimitRequestLine, UriTooLong),
    (gunicorn_errors.LimitRequestHeaders, HeadersTooLarge),
    (gunicorn_errors.ExpectationFailed, ExpectationFailed),
    (gunicorn_errors.UnsupportedTransferCoding, NotImplementedByServer),
    # these two are faults in a response of ours; the type stubs are those of gunicorn 26, which lacks them
    (gunicorn_errors.InvalidResponseHeader, FacerecError),  # type: ignore[attr-defined]
    (gunicorn_errors.InvalidResponseHeaderName, FacerecError),  # type: ignore[attr-defined]
    (gunicorn_errors.ConfigurationProblem, FacerecError),
    (gunicorn_errors.ParseException, Malformed),
    (Exception, FacerecError),
)


class RefusingWorker(ThreadWorker):
    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond to a request that can't be read or that failed outside Django, and close its connection."""
        error = next((our_error() for type_, our_error in _ERRORS if isinstance(exc, type_)), FacerecError())
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
    """Return the error as an HTTP response that ends the connection (`Connection: close`)."""
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
