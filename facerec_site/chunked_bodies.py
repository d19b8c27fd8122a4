"""Have Django read bodies that come in chunks (RFC 9112, 7.1), without a Content-Length.

Django takes a body without a length for an empty one. What bounds its memory doesn't need the length:
people.uploads and DATA_UPLOAD_MAX_MEMORY_SIZE count the bytes as they are read.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from gunicorn.http.errors import ParseException

from facerec_site.errors import refuse
from people.errors import LengthRequired, Malformed
from people.photos import MAX_BYTES
from people.uploads import FORM_BYTES


class ChunkedBodiesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.META.get("HTTP_TRANSFER_ENCODING"):  # with a length, too, gunicorn refuses it
            if not request.META.get("wsgi.input_terminated"):  # by a server other than gunicorn
                return refuse(request, LengthRequired())
            body = ChunkedBody(request.META["wsgi.input"], largest_body())
            try:
                has_bytes = bool(body.peek(1))
            except OSError:
                return refuse(request, Malformed("The chunks of the body are not well-formed."))
            holder: Any = request
            holder._stream = body
            # Django and REST framework only ask whether it is 0
            request.META["CONTENT_LENGTH"] = str(int(has_bytes))
        return self.get_response(request)


def largest_body() -> int:
    """Return how many bytes a body has at most, whatever it is for: an archive, or many photos."""
    archive = int(settings.FACEREC_IMPORT_MAX_MB) * 1_000_000
    return max(archive, settings.DATA_UPLOAD_MAX_NUMBER_FILES * MAX_BYTES) + FORM_BYTES


class ChunkedBody(io.BufferedReader):
    """The bytes of a chunked body; it ends where its last chunk does.

    Failures are OSErrors, as those of sockets are: EFBIG when there are more than `limit` bytes, EBADMSG
    when the chunks are not well-formed.
    """

    def __init__(self, source: Any, limit: int) -> None:
        super().__init__(_Chunks(source, limit))

    def close(self) -> None:
        """Leave it open: it is gunicorn's, and what is left of a refused body is still read away."""


class _Chunks(io.RawIOBase):
    def __init__(self, source: Any, limit: int) -> None:
        self._source, self._left = source, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._source.read(min(len(buffer), self._left + 1))
        except ParseException as error:
            raise OSError(errno.EBADMSG, "The chunks of the body are not well-formed") from error
        if len(data) > self._left:
            raise OSError(errno.EFBIG, "The body is larger than any that is accepted")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
