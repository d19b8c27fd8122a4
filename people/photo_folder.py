"""A photo storage in a local folder."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from people.errors import StorageUnavailable
from people.photos import MAX_BYTES

logger = logging.getLogger(__name__)


class PhotoFolder(FileSystemStorage):
    """Django's FileSystemStorage, except that it raises only FileNotFoundError or StorageUnavailable.

    StorageUnavailable means that the disk is full, read-only or failing, or that the service has no
    permission for the folder. Photos and tasks wait until that is fixed.
    """

    def check(self) -> None:
        """Raise StorageUnavailable unless a photo could be stored. Leaves no file behind."""
        folder = Path(self.location)
        with _translated():
            while not folder.exists():  # saving the first photo creates it
                folder = folder.parent
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"1")
            if shutil.disk_usage(folder).free < MAX_BYTES:
                raise StorageUnavailable

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        with _translated():
            return super().open(name, mode)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        with _translated():
            return super().save(name, content, max_length)

    def delete(self, name: str) -> None:
        with _translated():
            super().delete(name)

    def exists(self, name: str) -> bool:
        # Django's method returns False if the folder can't be read
        with _translated():
            try:
                os.lstat(self.path(name))
            except FileNotFoundError:
                return False
            return True


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        logger.warning("The photo folder can't be used: %s", error.strerror or type(error).__name__)
        raise StorageUnavailable from error
