"""Refuse what no view, form or database of ours can take, before any of them sees the request."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from facerec_site.errors import refuse
from people.errors import FacerecError, Malformed, NotFound, UnsupportedMediaType

_CHARSETS = {"utf-8", "ascii", "iso8859-1"}
"""Of bodies, by the codecs' own names. Others, as UTF-7, can encode lone surrogates, or decompress."""


class RequestChecksMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        error = _problem(request)
        return self.get_response(request) if error is None else refuse(request, error)


def _problem(request: HttpRequest) -> FacerecError | None:
    """Return why the request is refused.

    PostgreSQL can't store or compare NUL, so one that gets through is a fault there, and none with SQLite.
    """
    query = request.META.get("QUERY_STRING", "")
    if "\0" in request.path:
        return NotFound()
    if "%00" in query or "\0" in query:
        return Malformed("A query parameter contains a NUL character. Remove it.")
    if any("\0" in value for value in request.COOKIES.values()):
        return Malformed("A cookie contains a NUL character. Delete the cookies of this site.")
    if not all(map(_is_readable, request.headers.get("Accept", "").split(","))):
        return Malformed("The Accept header can't be read. Correct it, or leave it out.")
    charset = (request.content_params or {}).get("charset")
    if charset is not None and _canonical(charset) not in _CHARSETS:
        return UnsupportedMediaType()
    return None


def _is_readable(header: str) -> bool:
    try:
        parse_header_parameters(header)
    except ValueError:
        return False
    return True


def _canonical(charset: str) -> str:
    try:
        return codecs.lookup(charset).name
    except LookupError:
        return charset
