"""A ZIP archive as the source of an import. It is read in place: nothing is ever extracted to disk."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from people.errors import (
    ArchiveUnreadable,
    EntryMissing,
    EntryUnreadable,
    FacerecError,
    ImportRefused,
    PhotoTooLarge,
    TooManyFiles,
)
from people.imports.entries import MAX_ENTRIES, Entry, is_junk, refuse_tricks
from people.photos import MAX_BYTES

MAX_DIRECTORY_BYTES = 64_000_000
"""Size limit of a ZIP's central directory: 640 bytes for each of MAX_ENTRIES. An entry with a short path
takes 80."""
MAX_RATIO = 100
"""Uncompressed bytes per compressed byte. Photos are already compressed, so they have about 1; a ZIP bomb has
1000."""
RATIO_COUNTS_FROM = 1_000_000
"""Uncompressed size in bytes above which MAX_RATIO applies; smaller entries are harmless."""
_END, _END64, _LOCATOR64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_ENCRYPTED = 0x1 | 0x40 | 0x2000


class ZipSource:
    """A ZIP archive, read in place. Raises ArchiveUnreadable or TooManyFiles when constructed."""

    def __init__(self, file: IO[bytes]) -> None:
        check_directory(file)
        try:
            self._archive = _opened(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
            raise ArchiveUnreadable from error
        self._infos = {info.orig_filename: info for info in self._archive.infolist()}

    def entries(self) -> Iterator[Entry]:
        infos = self._archive.infolist()
        if len(self._infos) < len(infos):
            raise ImportRefused("The archive contains the same file name twice. Recreate it.")
        self._refuse_overlaps()
        for info in infos:
            refuse_tricks(info.orig_filename)
            self._refuse_unusual(info)
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
            UnicodeDecodeError,
        ) as error:  # fmt: skip
            raise EntryUnreadable from error
        if len(data) > limit:
            raise PhotoTooLarge
        return data

    def _problem(self, info: zipfile.ZipInfo) -> FacerecError | None:
        # zipfile can't limit the output of other decompressors
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return EntryUnreadable(
                "The file uses an unsupported compression method. Use Deflate, the usual one."
            )
        return None

    def _refuse_unusual(self, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ImportRefused("The archive contains a link or device. Recreate it with plain files only.")
        if info.flag_bits & _ENCRYPTED:
            raise ImportRefused("The archive is encrypted. Recreate it without a password.")
        if info.file_size > RATIO_COUNTS_FROM and info.file_size > MAX_RATIO * info.compress_size:
            raise ImportRefused(
                "The archive is compressed far more than photos can be. Put only photos into it."
            )

    def _refuse_overlaps(self) -> None:
        end = 0
        for info in sorted(self._archive.infolist(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise ImportRefused("The archive's entries overlap. Recreate it.")
            end = info.header_offset + 30 + info.compress_size
        if end > self._archive.start_dir:
            raise ImportRefused("The archive's entries overlap its directory. Recreate it.")


def _opened(file: IO[bytes]) -> zipfile.ZipFile:
    """Open the archive, and read names as UTF-8 if possible: macOS writes UTF-8 without setting its flag."""
    try:
        return zipfile.ZipFile(file, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(file)


def check_directory(file: IO[bytes]) -> None:
    """Check the size of the archive's directory before zipfile reads all of it into memory.

    The end record is located as in zipfile. Raises ArchiveUnreadable or TooManyFiles.
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
