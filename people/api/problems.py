"""Failures under /api/ as RFC 9457 problem details: the error for an exception, and its response."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from people.errors import (
    PROBLEM_CONTENT_TYPE,
    Conflict,
    DatabaseUnavailable,
    FacerecError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotAcceptable,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Overloaded,
    StorageUnavailable,
    TooLarge,
    TooManyRequests,
    UnknownHost,
    UnsupportedMediaType,
)
from people.models import Collection, Person
from people.outages import is_outage

logger = logging.getLogger(__name__)
_KINDS: tuple[tuple[type[Exception], type[FacerecError]], ...] = (
    # the first match applies
    (Http404, NotFound),
    (Collection.DoesNotExist, NotFound),
    (Person.DoesNotExist, NotFound),
    (PermissionDenied, NotAllowed),
    (exceptions.NotAuthenticated, NotAuthenticated),
    (exceptions.AuthenticationFailed, NotAuthenticated),
    (exceptions.PermissionDenied, NotAllowed),
    (exceptions.NotFound, NotFound),
    (exceptions.MethodNotAllowed, MethodNotAllowed),
    (exceptions.NotAcceptable, NotAcceptable),
    (exceptions.UnsupportedMediaType, UnsupportedMediaType),
    (exceptions.Throttled, TooManyRequests),
    (exceptions.ParseError, Malformed),
    (DisallowedHost, UnknownHost),
    (RequestDataTooBig, TooLarge),
    (SuspiciousOperation, Malformed),
    (BadRequest, Malformed),
    (MultiPartParserError, Malformed),
)
_WITH_OWN_DETAIL = (
    exceptions.NotAuthenticated,
    exceptions.AuthenticationFailed,
    exceptions.PermissionDenied,
    exceptions.NotFound,
    exceptions.ParseError,
)
"""Exceptions whose own detail, if they have one, is more specific than our error's message."""


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the response for an error raised in a view, or None for a bug in the service."""
    problem = translated(error)
    if problem is None:
        return None
    set_rollback()
    request_id = request_id_of(context["request"])
    response_headers = headers(problem)
    if challenge := getattr(error, "auth_header", None):
        response_headers["WWW-Authenticate"] = challenge
    response = Response(
        problem.as_problem(request_id),
        status=problem.status,
        headers=response_headers,
        content_type=PROBLEM_CONTENT_TYPE,
    )
    if isinstance(problem, Overloaded):
        # Django would log an error for each, when the service is busiest; the access log has them anyway
        holder: Any = response
        holder._has_been_logged = True
    return response


def response(request: HttpRequest, error: FacerecError) -> JsonResponse:
    """Return the response for an error outside the API's views."""
    return JsonResponse(
        error.as_problem(request_id_of(request)),
        status=error.status,
        headers=headers(error),
        content_type=PROBLEM_CONTENT_TYPE,
    )


def headers(error: FacerecError) -> dict[str, str]:
    """Return the headers that belong to a response with this error."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def request_id_of(request: Any) -> str:
    """Return the id that the middleware gave to the request."""
    return str(request.META.get("facerec.request_id", ""))


def translated(error: Exception) -> FacerecError | None:
    """Return our error for any exception, or None for a bug in the service."""
    if isinstance(error, FacerecError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return Invalid(extra={"errors": _by_field(error.detail)})
    if isinstance(error, ModelValidationError):
        return _invalid(error)
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        return Malformed("The request has too many fields or files. Send at most 1,000 fields and 50 files.")
    if isinstance(error, UnreadablePostError):
        return (
            TooLarge()
            if error.errno == errno.EFBIG
            else Malformed("The body is incomplete or damaged. Send it again.")
        )
    for kind, ours in _KINDS:
        if isinstance(error, kind):
            problem = ours(_own_words(error))
            if wait := getattr(error, "wait", None):
                problem.retry_after = int(wait)
            return problem
    return _of_the_database(error)


def _of_the_database(error: Exception) -> FacerecError | None:
    """Return our error for a database error or an outage."""
    if isinstance(error, IntegrityError):
        return Conflict("Another request saved the same data at the same time. Fetch it and try again.")
    if isinstance(error, DataError):
        logger.exception("The database rejected a value that validation should have rejected")
        return Malformed("A value can't be stored. Send shorter texts and smaller numbers.")
    if not is_outage(error):
        return None
    logger.exception("A part of the service is unavailable")
    if isinstance(error, OperationalError | InterfaceError) and not _is_full(error):
        return DatabaseUnavailable()
    return StorageUnavailable()


def _is_full(error: Exception) -> bool:
    """Return whether the error message of SQLite or PostgreSQL says that the disk is full."""
    return "is full" in str(error) or "No space left" in str(error)


def _own_words(error: Exception) -> str | None:
    if not isinstance(error, _WITH_OWN_DETAIL) or error.detail == error.default_detail:
        return None
    return str(error.detail)


def _invalid(error: ModelValidationError) -> FacerecError:
    if hasattr(error, "error_dict"):
        single = [item for items in error.error_dict.values() for item in items]
        fields = error.message_dict
    else:
        single, fields = list(error.error_list), {NON_FIELD_ERRORS: error.messages}
    if any(item.code in ("unique", "unique_together") for item in single):
        return Conflict(" ".join(error.messages))
    messages = {"request" if name == NON_FIELD_ERRORS else name: texts for name, texts in fields.items()}
    return Invalid(extra={"errors": messages})


def _by_field(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Return messages by dotted field name."""
    if isinstance(detail, Mapping):
        messages: dict[str, list[str]] = {}
        for name, inner in detail.items():
            messages.update(_by_field(inner, f"{prefix}.{name}" if prefix else str(name)))
        return messages
    items = detail if isinstance(detail, list) else [detail]
    return {prefix or "request": [str(item) for item in items]}
