"""Responses to errors outside the views: problem documents under /api/, HTML pages elsewhere."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.middleware import common
from django.urls import is_valid_path
from django.utils.html import escape
from django.views import defaults

from people.api import problems
from people.errors import FacerecError, Malformed, NotAllowed, NotFound

_PAGE = "<!doctype html><title>{title}</title><h1>{title}</h1><p>{detail}</p>"


def is_api(request: HttpRequest) -> bool:
    """Return whether the request is for the API, whose responses are read by programs."""
    return f"{request.path_info}/".startswith("/api/")


def refuse(request: HttpRequest, error: FacerecError) -> HttpResponse:
    """Return the response to a request that fails with `error` before it reaches a view."""
    if is_api(request):
        return problems.response(request, error)
    problem = error.as_problem("")
    page = _PAGE.format(title=problem["title"], detail=escape(error.message))
    return HttpResponse(page, status=error.status, headers=problems.headers(error))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, problems.translated(exception) or Malformed())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return problems.response(request, NotAllowed())
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 404 for an unknown path. If only the trailing slash is missing, say so."""
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    if is_valid_path(f"{request.path_info}/"):
        return problems.response(request, NotFound(f"The path needs a trailing slash: {request.path}/"))
    return problems.response(request, NotFound("This path doesn't exist. See /api/docs/ for all paths."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the specific response to a known outage or an invalid request, and 500 for any other error."""
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    translated_error = problems.translated(error) if isinstance(error, Exception) else None
    if translated_error is not None:
        return refuse(request, translated_error)
    if is_api(request):
        return problems.response(request, FacerecError())
    return defaults.server_error(request)


class CommonMiddleware(common.CommonMiddleware):
    """Django's middleware, without its redirects to paths with a trailing slash under /api/.

    Clients repeat a redirected POST as a GET and would mistake the list they receive for success.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return not is_api(request) and super().should_redirect_with_slash(request)
