"""Every failure under /api/ as RFC 9457 problem details: which error it is, and the response with it."""

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
    # the first that fits
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
_SAY_IT_THEMSELVES = (
    exceptions.NotAuthenticated,
    exceptions.AuthenticationFailed,
    exceptions.PermissionDenied,
    exceptions.NotFound,
    exceptions.ParseError,
)
"""Whose own sentence, where it has one, says more than that of our error."""


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn an error raised in a view into a response; None for a fault of ours."""
    known = translated(error)
    if known is None:
        return None
    set_rollback()
    request_id = request_id_of(context["request"])
    sent = headers(known)
    if challenge := getattr(error, "auth_header", None):
        sent["WWW-Authenticate"] = challenge
    response = Response(
        known.as_problem(request_id), status=known.status, headers=sent, content_type=PROBLEM_CONTENT_TYPE
    )
    if isinstance(known, Overloaded):
        # Django would log an error for each when there is least time for it; the access log has them
        holder: Any = response
        holder._has_been_logged = True
    return response


def response(request: HttpRequest, error: FacerecError) -> JsonResponse:
    """Return the response for an error where no view of the API answers."""
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
    """Return which of our errors it is, whatever part raised it; None for a fault of ours."""
    if isinstance(error, FacerecError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return Invalid(extra={"errors": _by_field(error.detail)})
    if isinstance(error, ModelValidationError):
        return _invalid(error)
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        return Malformed("The request has too many fields or files. Send at most 1,000 fields and 50 files.")
    if isinstance(error, UnreadablePostError):
        return TooLarge() if error.errno == errno.EFBIG else Malformed("The body ended early, or is damaged.")
    for kind, ours in _KINDS:
        if isinstance(error, kind):
            known = ours(_own_words(error))
            if wait := getattr(error, "wait", None):
                known.retry_after = int(wait)
            return known
    return _of_the_database(error)


def _of_the_database(error: Exception) -> FacerecError | None:
    """Return what an error of the database, or of another part that is unavailable, is reported as."""
    if isinstance(error, IntegrityError):
        return Conflict("Another request saved the same data at the same time. Fetch it and try again.")
    if isinstance(error, DataError):
        logger.exception("The database refused a value that should have been refused before")
        return Malformed("A value can't be stored. Send shorter texts and smaller numbers.")
    if not is_outage(error):
        return None
    logger.exception("A part of the service is unavailable")
    if isinstance(error, OperationalError | InterfaceError) and not _is_full(error):
        return DatabaseUnavailable()
    return StorageUnavailable()


def _is_full(error: Exception) -> bool:
    """Return whether it is the disk; SQLite and PostgreSQL use these words."""
    return "is full" in str(error) or "No space left" in str(error)


def _own_words(error: Exception) -> str | None:
    if not isinstance(error, _SAY_IT_THEMSELVES) or error.detail == error.default_detail:
        return None
    return str(error.detail)


def _invalid(error: ModelValidationError) -> FacerecError:
    if hasattr(error, "error_dict"):
        single = [one for many in error.error_dict.values() for one in many]
        fields = error.message_dict
    else:
        single, fields = list(error.error_list), {NON_FIELD_ERRORS: error.messages}
    if any(one.code in ("unique", "unique_together") for one in single):
        return Conflict(" ".join(error.messages))
    messages = {"request" if name == NON_FIELD_ERRORS else name: told for name, told in fields.items()}
    return Invalid(extra={"errors": messages})


def _by_field(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Return messages by dotted field name."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found.update(_by_field(inner, f"{prefix}.{name}" if prefix else str(name)))
        return found
    items = detail if isinstance(detail, list) else [detail]
    return {prefix or "request": [str(item) for item in items]}
