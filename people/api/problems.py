"""Every error as RFC 9457 problem details, `application/problem+json`, with a stable code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from people.errors import (
    Conflict,
    DatabaseUnavailable,
    FacerecError,
    Overloaded,
    PhotoTooLarge,
    StorageUnavailable,
)
from people.models import Collection, Person
from people.outages import is_outage

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 406: "Not acceptable", 409: "Conflict", 413: "Too large",
    415: "Unsupported media type", 422: "The photo can't be used", 429: "Too many requests",
    500: "Internal error", 503: "Not available now",
}  # fmt: skip
_CODES = {
    400: "malformed", 401: "not_authenticated", 403: "not_allowed", 404: "not_found",
    405: "method_not_allowed", 406: "not_acceptable", 413: "too_large", 415: "unsupported_media_type",
    429: "too_many_requests",
}  # fmt: skip


def problem(
    status: int, code: str, detail: str, request_id: str, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a problem document."""
    return {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **(extra or {}),
    }


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn an error raised in a view into a response; None for what is a fault of ours."""
    request_id = request_id_of(context["request"])
    translated = _translated(error)
    headers: dict[str, str] = {}
    if isinstance(translated, FacerecError):
        status, code, detail = translated.status, translated.code, translated.message
        extra: dict[str, Any] = dict(translated.extra)
    elif isinstance(translated, exceptions.ValidationError):
        status, code, detail = 400, "invalid", "Some fields are not as they must be; see `errors`."
        extra = {"errors": _by_field(translated.detail)}
    elif isinstance(translated, exceptions.APIException):
        status = translated.status_code
        code, detail, extra = _CODES.get(status, "error"), str(translated.detail), {}
        if wait := getattr(translated, "wait", None):
            headers["Retry-After"] = str(int(wait))
        if header := getattr(translated, "auth_header", None):
            headers["WWW-Authenticate"] = header
    else:
        return None
    if status == 503 and isinstance(translated, FacerecError):
        headers["Retry-After"] = str(translated.retry_after)
    set_rollback()
    response = Response(
        problem(status, code, detail, request_id, extra),
        status=status,
        headers=headers,
        content_type=CONTENT_TYPE,
    )
    if isinstance(translated, Overloaded):
        # Django would log an error for each, when there is least time for it; the access line tells
        holder: Any = response
        holder._has_been_logged = True
    return response


def _translated(error: Exception) -> Exception:
    if isinstance(error, Http404 | Collection.DoesNotExist | Person.DoesNotExist):
        return exceptions.NotFound("There is no such thing here, or this key is not for its collection.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return PhotoTooLarge()
    if isinstance(error, ModelValidationError):
        if any(one.code in ("unique", "unique_together") for one in _flat(error)):
            return Conflict(" ".join(error.messages))
        fields = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
        return exceptions.ValidationError(
            {"request" if name == NON_FIELD_ERRORS else name: messages for name, messages in fields.items()}
        )
    if isinstance(error, IntegrityError):
        return Conflict("Somebody stored the same at the same time. Read it again.")
    if not isinstance(error, FacerecError) and is_outage(error):
        logger.exception("A part of the service is away")
        return _away(error)
    return error


def _away(error: Exception) -> FacerecError:
    """Return what an outage is told as."""
    if isinstance(error, FacerecError):
        return error
    if isinstance(error, OperationalError | InterfaceError) and not _is_full(error):
        return DatabaseUnavailable()
    return StorageUnavailable()


def _is_full(error: Exception) -> bool:
    """Return whether it is the disk; SQLite and PostgreSQL tell it by these words."""
    return "is full" in str(error) or "No space left" in str(error)


def _flat(error: ModelValidationError) -> list[ModelValidationError]:
    if hasattr(error, "error_dict"):
        return [one for many in error.error_dict.values() for one in many]
    return list(error.error_list)


def _by_field(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Return messages by dotted field name."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found.update(_by_field(inner, f"{prefix}.{name}" if prefix else str(name)))
        return found
    items = detail if isinstance(detail, list) else [detail]
    return {prefix or "request": [str(item) for item in items]}


def request_id_of(request: Any) -> str:
    """Return the id that the middleware gave to the request."""
    return str(request.META.get("facerec.request_id", ""))


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer 404 for a path that no route has."""
    return _json(request, 404, "not_found", "There is no such path. See /api/docs/.")


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer 500 without telling what went on inside; the log has it under the request's id."""
    return _json(request, 500, "internal_error", "Something went wrong on our side. Tell us the request_id.")


def outage(request: HttpRequest, error: Exception) -> JsonResponse:
    """Answer 503 for what was away before any view could be asked."""
    away = _away(error)
    response = _json(request, 503, away.code, away.message)
    response["Retry-After"] = str(away.retry_after)
    return response


def _json(request: HttpRequest, status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse(
        problem(status, code, detail, request_id_of(request)), status=status, content_type=CONTENT_TYPE
    )
