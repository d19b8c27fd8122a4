"""Sources of imports: folders, ZIP archives and bucket prefixes. Their contents are untrusted.

Nothing is ever extracted to disk: each file is read into memory, up to MAX_BYTES.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from people.errors import (
    BucketNotAllowed,
    EntryMissing,
    EntryUnreadable,
    ImportRefused,
    ObjectNotFound,
    PeopleCsvInvalid,
    PhotoTooLarge,
    SourceGone,
)
from people.imports import people_csv
from people.imports.archive import ZipSource
from people.imports.entries import Entry, is_junk, refuse_tricks
from people.models import ImportJob
from people.models.photo import photo_storage
from people.photos import MAX_BYTES
from people.s3 import input_buckets

REFUSALS = (ImportRefused, BucketNotAllowed, ObjectNotFound)
"""Errors about a source as a whole. Retrying doesn't help: the source or the settings must be changed."""


class Source(Protocol):
    """A source that an import reads files from."""

    def entries(self) -> Iterator[Entry]:
        """Yield every file except junk. Raises ImportRefused."""
        ...

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        """Return the file. Raises PhotoTooLarge beyond `limit` bytes, EntryMissing or EntryUnreadable."""
        ...


@contextmanager
def opened(job: ImportJob) -> Iterator[Source]:
    """Open the job's source. Raises ImportRefused or BucketNotAllowed."""
    if job.source == ImportJob.Source.FOLDER:
        yield FolderSource(Path(job.location))
    elif job.source == ImportJob.Source.S3:
        yield S3Source(job.location)
    else:
        with _archive(job.location) as file:
            yield ZipSource(file)


def people_of(source: Source) -> dict[str, people_csv.Row]:
    """Return the rows of the source's people.csv by folder; empty if it has none. Raises PeopleCsvInvalid."""
    try:
        data = source.read(people_csv.NAME, people_csv.MAX_BYTES)
    except EntryMissing:
        return {}
    except EntryUnreadable as error:
        raise PeopleCsvInvalid(f"people.csv can't be read. {error.message}") from error
    except PhotoTooLarge:
        data = bytes(people_csv.MAX_BYTES + 1)
    return people_csv.parse(data)


def _archive(location: str) -> IO[bytes]:
    """Return the open ZIP, which the caller must close. Raises SourceGone."""
    try:
        if location.startswith("/"):
            return open(location, "rb")
        storage = photo_storage()
        # `open` on an object store would download the whole archive first
        file: IO[bytes] = getattr(storage, "open_in_parts", storage.open)(location)
        return file
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SourceGone from error


class FolderSource:
    """A local folder. Only the import command can use it, not the API."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise SourceGone
        self._root = root.resolve()

    def entries(self) -> Iterator[Entry]:
        for folder, subfolders, files in os.walk(self._root):
            subfolders.sort()
            linked_folders = [name for name in subfolders if Path(folder, name).is_symlink()]
            for name in sorted([*files, *linked_folders]):
                full = Path(folder, name)
                path = full.relative_to(self._root).as_posix()
                if is_junk(path):
                    continue
                refuse_tricks(path)
                if not full.resolve().is_relative_to(self._root):
                    raise ImportRefused(
                        "The folder contains a link to a file outside of it. Copy the file into it instead."
                    )
                yield self._entry(full, path)

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        full = (self._root / path).resolve()
        if not full.is_relative_to(self._root):
            raise EntryUnreadable
        try:
            # without O_NONBLOCK, opening a named pipe would block forever
            with open(os.open(full, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise EntryUnreadable
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise EntryMissing from error
        except (IsADirectoryError, PermissionError, OverflowError) as error:
            raise EntryUnreadable(
                "The service isn't allowed to read the file. Check its permissions."
            ) from error
        if len(data) > limit:
            raise PhotoTooLarge
        return data

    def _entry(self, full: Path, path: str) -> Entry:
        try:
            status = full.stat()
        except OSError:
            return Entry(path, 0, "", EntryUnreadable("The link's target doesn't exist."))
        problem = None if stat.S_ISREG(status.st_mode) else EntryUnreadable("This is not a regular file.")
        return Entry(path, status.st_size, str(status.st_mtime_ns), problem)


class S3Source:
    """The objects under a prefix of an allowed bucket."""

    def __init__(self, location: str) -> None:
        self._bucket, _, self._prefix = location.removeprefix("s3://").partition("/")
        input_buckets.check(self._bucket)

    def entries(self) -> Iterator[Entry]:
        for key, size, etag in input_buckets.listed(self._bucket, self._prefix):
            path = key.removeprefix(self._prefix)
            # S3 consoles create empty "folder" objects
            if path and not path.endswith("/") and not is_junk(path):
                refuse_tricks(path)
                yield Entry(path, size, etag)

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        key = self._prefix + path
        try:
            return input_buckets.read(self._bucket, key, limit)
        except ObjectNotFound as error:
            if any(listed_key == key for listed_key, _, _ in input_buckets.listed(self._bucket, key)):
                raise EntryUnreadable(
                    "The service isn't allowed to read this object. Grant it s3:GetObject."
                ) from error
            raise EntryMissing from error


def s3_location(bucket: str, prefix: str) -> str:
    """Return the location of a prefix, with a trailing slash."""
    prefix = prefix.strip("/")
    return f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"
