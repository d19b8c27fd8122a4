"""Where an import's photos come from. Names, sizes and claims of a source are hostile until checked.

Nothing is ever extracted: a file is read into memory, at most MAX_BYTES of it, and handed on.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from people import buckets, people_csv
from people.errors import (
    ArchiveUnreadable,
    BucketNotAllowed,
    EntryMissing,
    EntryUnreadable,
    FacerecError,
    ImportRefused,
    ObjectNotFound,
    PeopleCsvInvalid,
    PhotoTooLarge,
    SourceGone,
    TooManyFiles,
)
from people.models import ImportJob
from people.models.photo import photo_storage
from people.photos import MAX_BYTES

MAX_ENTRIES = 100_000
MAX_DIRECTORY_BYTES = 64_000_000
"""Of a ZIP's own list of its entries: 640 bytes each, where a short path has 80."""
MAX_PATH = 1024
MAX_RATIO = 100
"""Bytes that one packed byte may become. Photos are packed already: theirs is 1; a bomb's is 1000."""
RATIO_COUNTS_FROM = 1_000_000
"""Bytes unpacked; smaller entries can't hurt."""

REFUSALS = (ImportRefused, BucketNotAllowed, ObjectNotFound)
"""Of a source as a whole: nothing that comes back by itself."""
_JUNK = {".DS_Store", "Thumbs.db", "desktop.ini"}
_END, _END64, _LOCATOR64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_ENCRYPTED = 0x1 | 0x40 | 0x2000


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source; `mark` changes with its content."""

    path: str
    size: int
    mark: str
    problem: FacerecError | None = None


class Source(Protocol):
    def entries(self) -> Iterator[Entry]:
        """Yield every file but junk. Raises ImportRefused."""
        ...

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        """Return a file. Raises PhotoTooLarge beyond `limit` bytes, EntryMissing or EntryUnreadable."""
        ...


def folder_of(path: str) -> str | None:
    """Return the person's folder of a photo's path, or None when it is not `person/photo.jpg`."""
    folder, _, file = path.partition("/")
    return folder if file and "/" not in file else None


@contextmanager
def opened(job: ImportJob) -> Iterator[Source]:
    """Open what the job reads from. Raises ImportRefused or BucketNotAllowed."""
    if job.source == ImportJob.Source.FOLDER:
        yield FolderSource(Path(job.location))
    elif job.source == ImportJob.Source.S3:
        yield S3Source(job.location)
    else:
        with _archive(job.location) as file:
            yield ZipSource(file)


def people_of(source: Source) -> dict[str, people_csv.Row]:
    """Return what the source's people.csv says, by folder; nothing when there is none."""
    try:
        data = source.read(people_csv.NAME, people_csv.MAX_BYTES)
    except EntryMissing:
        return {}
    except EntryUnreadable as error:
        raise PeopleCsvInvalid(f"people.csv can't be read. {error.message}") from error
    except PhotoTooLarge:
        data = bytes(people_csv.MAX_BYTES + 1)
    return people_csv.parse(data)


def kept_in_storage(job: ImportJob) -> bool:
    """Return whether the job reads an upload, which is to be removed when it ends."""
    return job.source == ImportJob.Source.ZIP and not job.location.startswith("/")


def _archive(location: str) -> IO[bytes]:
    """Return the ZIP, for the caller to close. Raises SourceGone."""
    try:
        if location.startswith("/"):
            return open(location, "rb")
        storage = photo_storage()
        # an object store's file is fetched whole at first, where only parts are wanted
        file: IO[bytes] = getattr(storage, "open_in_parts", storage.open)(location)
        return file
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SourceGone from error


class ZipSource:
    """A ZIP archive, read in place."""

    def __init__(self, file: IO[bytes]) -> None:
        check_directory(file)
        try:
            self._archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
            raise ArchiveUnreadable from error
        self._infos = {info.orig_filename: info for info in self._archive.infolist()}

    def entries(self) -> Iterator[Entry]:
        infos = self._archive.infolist()
        if len(self._infos) < len(infos):
            raise ImportRefused("The archive holds the same name twice. Make it anew.")
        self._refuse_overlaps()
        for info in infos:
            refuse_tricks(info.orig_filename)
            self._refuse_oddities(info)
        for info in infos:
            if not info.is_dir() and not is_junk(info.orig_filename):
                yield Entry(info.orig_filename, info.file_size, f"{info.CRC:08x}", self._problem(info))

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        info = self._infos.get(path)
        if info is None:
            raise EntryMissing
        if problem := self._problem(info):
            raise problem
        if info.file_size > limit:
            raise PhotoTooLarge
        try:
            with self._archive.open(info) as file:
                data = file.read(limit + 1)
        except (
            zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error,
        ) as error:  # fmt: skip
            raise EntryUnreadable from error
        if len(data) > limit:
            raise PhotoTooLarge
        return data

    def _problem(self, info: zipfile.ZipInfo) -> FacerecError | None:
        # the other methods' decoders can't be stopped at a limit
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return EntryUnreadable("The file is packed in an unusual way. Make the ZIP the usual way.")
        return None

    def _refuse_oddities(self, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ImportRefused("The archive holds a link or device. Make it of plain files and folders.")
        if info.flag_bits & _ENCRYPTED:
            raise ImportRefused("The archive is encrypted. Make it without a password.")
        if info.file_size > RATIO_COUNTS_FROM and info.file_size > MAX_RATIO * info.compress_size:
            raise ImportRefused("The archive unpacks to far more than photos do. Make it of photos only.")

    def _refuse_overlaps(self) -> None:
        end = 0
        for info in sorted(self._archive.infolist(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise ImportRefused("The archive’s entries lie over each other. Make it anew.")
            end = info.header_offset + 30 + info.compress_size
        if end > self._archive.start_dir:
            raise ImportRefused("The archive’s entries lie over its directory. Make it anew.")


class FolderSource:
    """A folder of this machine; for the command, never for the API."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise SourceGone
        self._root = root.resolve()

    def entries(self) -> Iterator[Entry]:
        for folder, subfolders, files in os.walk(self._root):
            subfolders.sort()
            for name in sorted([*files, *(one for one in subfolders if Path(folder, one).is_symlink())]):
                full = Path(folder, name)
                path = full.relative_to(self._root).as_posix()
                if is_junk(path):
                    continue
                refuse_tricks(path)
                if not full.resolve().is_relative_to(self._root):
                    raise ImportRefused("The folder holds a link that leads out of it. Copy the file.")
                yield self._entry(full, path)

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        full = (self._root / path).resolve()
        if not full.is_relative_to(self._root):
            raise EntryUnreadable
        try:
            # a pipe would keep its reader waiting for ever
            with open(os.open(full, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise EntryUnreadable
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise EntryMissing from error
        except (IsADirectoryError, PermissionError, OverflowError) as error:
            raise EntryUnreadable("The file may not be read. Check its permissions.") from error
        if len(data) > limit:
            raise PhotoTooLarge
        return data

    def _entry(self, full: Path, path: str) -> Entry:
        try:
            found = full.stat()
        except OSError:
            return Entry(path, 0, "", EntryUnreadable("The link leads nowhere."))
        problem = None if stat.S_ISREG(found.st_mode) else EntryUnreadable("This is not a plain file.")
        return Entry(path, found.st_size, str(found.st_mtime_ns), problem)


class S3Source:
    """What lies under a prefix of an allowed bucket."""

    def __init__(self, location: str) -> None:
        self._bucket, _, self._prefix = location.removeprefix("s3://").partition("/")
        buckets.check(self._bucket)

    def entries(self) -> Iterator[Entry]:
        for key, size, etag in buckets.listed(self._bucket, self._prefix):
            path = key.removeprefix(self._prefix)
            if path and not path.endswith("/") and not is_junk(path):  # consoles make empty "folders"
                refuse_tricks(path)
                yield Entry(path, size, etag)

    def read(self, path: str, limit: int = MAX_BYTES) -> bytes:
        key = self._prefix + path
        try:
            return buckets.read(self._bucket, key, limit)
        except ObjectNotFound as error:
            if any(found == key for found, _, _ in buckets.listed(self._bucket, key)):
                raise EntryUnreadable("The service may not read this object. Allow s3:GetObject.") from error
            raise EntryMissing from error


def s3_location(bucket: str, prefix: str) -> str:
    """Return the location of a prefix, which ends with / as folders do."""
    prefix = prefix.strip("/")
    return f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"


def is_junk(path: str) -> bool:
    """Return whether the file is what macOS and Windows leave everywhere."""
    parts = path.split("/")
    return parts[0] == "__MACOSX" or parts[-1] in _JUNK or parts[-1].startswith("._")


def refuse_tricks(path: str) -> None:
    """Refuse a name that would lead elsewhere if somebody extracted it. Raises ImportRefused."""
    parts = path.removesuffix("/").split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or "\0" in path
        or re.match(r"[A-Za-z]:", path)
    ):
        raise ImportRefused(
            "The source holds a name that is absolute, leads upward, or has a backslash, a drive letter or "
            "a NUL in it. Name everything person/photo.jpg; put other ids into people.csv."
        )


def check_directory(file: IO[bytes]) -> None:
    """Count what the archive lists before zipfile takes all of it into memory.

    The end record is looked for as zipfile does. Raises ArchiveUnreadable or TooManyFiles.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 22 - 65_535, 0))
    tail = file.read()
    at = len(tail) - 22
    if not (at >= 0 and tail[at : at + 4] == _END and tail[-2:] == b"\0\0"):
        at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise ArchiveUnreadable
    (length,) = struct.unpack_from("<L", tail, at + 12)
    location = size - len(tail) + at
    if location >= 76:
        file.seek(location - 76)
        record = file.read(76)
        if record[56:60] == _LOCATOR64 and record[:4] == _END64:
            (length,) = struct.unpack_from("<Q", record, 40)
            location -= 76
    if length > location:
        raise ArchiveUnreadable
    if length > MAX_DIRECTORY_BYTES:
        raise TooManyFiles
    file.seek(location - length)
    directory = file.read(length)
    at = count = 0
    while at < length:
        if directory[at : at + 4] != _ENTRY or at + 46 > length:
            raise ArchiveUnreadable
        count += 1
        if count > MAX_ENTRIES:
            raise TooManyFiles
        at += 46 + sum(struct.unpack_from("<3H", directory, at + 28))
