"""Support for request bodies in chunked transfer coding (RFC 9112, 7.1), which have no Content-Length.

Django treats a body without a length as empty. Its memory limits don't need the length:
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
        if request.META.get("HTTP_TRANSFER_ENCODING"):  # gunicorn refuses it together with a Content-Length
            if not request.META.get("wsgi.input_terminated"):  # served by something other than gunicorn
                return refuse(request, LengthRequired())
            body = ChunkedBody(request.META["wsgi.input"], largest_body())
            try:
                has_bytes = bool(body.peek(1))
            except OSError:
                return refuse(request, Malformed("The chunked encoding of the request body is malformed."))
            holder: Any = request
            holder._stream = body
            # Django and REST framework only check whether it is 0.
            request.META["CONTENT_LENGTH"] = str(int(has_bytes))
        return self.get_response(request)


def largest_body() -> int:
    """Return the size in bytes of the largest body that any view accepts: an archive, or many photos."""
    archive = int(settings.FACEREC_IMPORT_MAX_MB) * 1_000_000
    return max(archive, settings.DATA_UPLOAD_MAX_NUMBER_FILES * MAX_BYTES) + FORM_BYTES


class ChunkedBody(io.BufferedReader):
    """The decoded bytes of a chunked body, as a file that ends after the last chunk.

    Failures are OSErrors, like those of sockets: EFBIG if the body has more than `limit` bytes, EBADMSG if
    the chunked encoding is malformed.
    """

    def __init__(self, source: Any, limit: int) -> None:
        super().__init__(_Chunks(source, limit))

    def close(self) -> None:
        """Do nothing: the stream is gunicorn's, and the remainder of a refused body is still drained."""


class _Chunks(io.RawIOBase):
    def __init__(self, source: Any, limit: int) -> None:
        self._source, self._remaining_bytes = source, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._source.read(min(len(buffer), self._remaining_bytes + 1))
        except ParseException as error:
            raise OSError(errno.EBADMSG, "The chunked encoding of the request body is malformed") from error
        if len(data) > self._remaining_bytes:
            raise OSError(errno.EFBIG, "The request body is too large")
        self._remaining_bytes -= len(data)
        buffer[: len(data)] = data
        return len(data)
