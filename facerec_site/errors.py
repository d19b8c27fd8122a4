"""What is answered when no view does: problem documents under /api/, pages elsewhere."""

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
    """Return whether programs rather than people read the response."""
    return f"{request.path_info}/".startswith("/api/")


def refuse(request: HttpRequest, error: FacerecError) -> HttpResponse:
    """Return the response for an error that no view answers."""
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
    """Answer for a path that no route has; say so if only the slash at its end is missing."""
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    if is_valid_path(f"{request.path_info}/"):
        return problems.response(request, NotFound(f"The path needs a slash at its end: {request.path}/"))
    return problems.response(request, NotFound("There is no such path. See /api/docs/ for all of them."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what is known to be an outage, or the request's mistake, by its own status; else 500."""
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    known = problems.translated(error) if isinstance(error, Exception) else None
    if known is not None:
        return refuse(request, known)
    if is_api(request):
        return problems.response(request, FacerecError())
    return defaults.server_error(request)


class CommonMiddleware(common.CommonMiddleware):
    """Django's own, which redirects to paths with a slash; except under /api/.

    Clients repeat a redirected POST as GET, and then take the list that they get for success.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return not is_api(request) and super().should_redirect_with_slash(request)
