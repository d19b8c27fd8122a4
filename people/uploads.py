"""Upload handlers that stop at the size limit.

Photos stay in memory, so a probe is never written to the disk. Archives are written to temporary files.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers, TemporaryFileUploadHandler
from django.http import HttpRequest

from people.errors import ArchiveTooLarge
from people.photos import MAX_BYTES


class BoundedMemoryUploadHandler(FileUploadHandler):
    """Keeps each file in memory; if it is too large, only enough of it to detect that."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._file = BytesIO()
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        room = MAX_BYTES + 1 - self._file.tell()
        if room > 0:
            self._file.write(raw_data[:room])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        size = self._file.tell()
        self._file.seek(0)
        return InMemoryUploadedFile(
            file=self._file,
            field_name=self.field_name,
            name=self.file_name or "photo",
            content_type=self.content_type or "",
            size=size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )


def content(file: UploadedFile[Any]) -> bytes:
    """Return an uploaded file's bytes. If they are in memory, they aren't copied."""
    return file.file.getvalue() if isinstance(file.file, BytesIO) else bytes(file.read())


FORM_BYTES = 1_000_000
"""How much larger than its archive a form may be, for the other fields."""


class ArchiveUploadHandler(TemporaryFileUploadHandler):
    """Keeps an archive in a temporary file. Raises ArchiveTooLarge as soon as the limit is exceeded."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._room = settings.FACEREC_IMPORT_MAX_MB * 1_000_000

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803 Django's name
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        if content_length > self._room + FORM_BYTES:
            raise ArchiveTooLarge

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._room -= len(raw_data)
        if self._room < 0:
            self.file.close()
            raise ArchiveTooLarge
        super().receive_data_chunk(raw_data, start)


def expect_archive(request: HttpRequest) -> None:
    """Have the request's body parsed as an archive. Must be called before any of it is read."""
    request.upload_handlers = [ArchiveUploadHandler(request)]
