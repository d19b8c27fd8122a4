"""Refuses requests that our views, forms and databases can't process, before they reach any of them."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from facerec_site.errors import refuse
from people.errors import FacerecError, Malformed, NotFound, UnsupportedMediaType

_CHARSETS = {"utf-8", "ascii", "iso8859-1"}
"""Accepted charsets of request bodies, as Python's codecs name them.

Python has codecs that decode lone surrogates, such as UTF-7, and codecs that decompress.
"""


class RequestChecksMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        error = _problem(request)
        return self.get_response(request) if error is None else refuse(request, error)


def _problem(request: HttpRequest) -> FacerecError | None:
    """Return the error to refuse the request with, or None if it is acceptable.

    PostgreSQL, unlike SQLite, can't store or compare NUL. A NUL that got through would be an internal error.
    """
    query = request.META.get("QUERY_STRING", "")
    if "\0" in request.path:
        return NotFound()
    if "%00" in query or "\0" in query:
        return Malformed("A query parameter contains a NUL character. Remove it.")
    if any("\0" in value for value in request.COOKIES.values()):
        return Malformed("A cookie contains a NUL character. Delete this site's cookies.")
    if not all(map(_is_readable, request.headers.get("Accept", "").split(","))):
        return Malformed("The Accept header is invalid. Correct it or leave it out.")
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
