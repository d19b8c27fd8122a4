"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from facerec_site import choose_settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

choose_settings()
_django = get_wsgi_application()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Let Django process a request.

    Django parses the Content-Type before any code of ours could refuse it, so an unreadable one is replaced.
    """
    if not _is_readable(environ.get("CONTENT_TYPE", "")):
        environ["CONTENT_TYPE"] = "application/x-unreadable"  # no operation accepts it
    return _django(environ, start_response)


def _is_readable(content_type: str) -> bool:
    try:
        codecs.lookup(parse_header_parameters(content_type)[1].get("charset", "utf-8"))
    except LookupError:
        return True
    except ValueError:
        return False
    return True
