"""Download the files of a catalogue from URLs, wheels and source archives, and verify each one.

Doesn't use Django, so that the image build can fetch the models before it copies the rest of the project.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from people.errors import FetchFailed

URL_TIMEOUT_SECONDS = 5
"""If a server doesn't respond within this time, the next source is tried."""
PIP_TIMEOUT_SECONDS = 900
CHUNK_BYTES = 1 << 20
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError)
"""Exceptions raised on reading a damaged or incomplete archive."""

Progress = Callable[[str], None]
"""Called with one line of text at a time."""


class SourceFailed(Exception):
    """A source didn't return the right file. Another source may."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from: a URL, or a member of a package's wheel or source archive.

    `package` is pinned as `name==version`; `archive` is `wheel` or `sdist`.
    """

    url: str = ""
    package: str = ""
    archive: str = ""
    member: str = ""

    def __str__(self) -> str:
        return self.url or f"{self.package} ({self.archive})"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the catalogue. `sha256` is hexadecimal; `size` is in bytes."""

    name: str
    file: str
    sha256: str
    size: int
    licence: str
    sources: tuple[Source, ...]
    person: str = ""
    credit: str = ""


def read_catalogue(catalogue: Path, part: str) -> Mapping[str, Entry]:
    """Return the entries by name, in the file's order. `part` of the TOML file is "models" or "samples"."""
    with catalogue.open("rb") as file:
        rows = tomllib.load(file)[part]
    return {row["name"]: Entry(**{**row, "sources": tuple(map(_source, row["sources"]))}) for row in rows}


def _source(row: Mapping[str, str]) -> Source:
    for archive in ("wheel", "sdist"):
        if archive in row:
            return Source(package=row[archive], archive=archive, member=row["member"])
    return Source(url=row["url"])


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_all(entries: Iterable[Entry], directory: Path, progress: Progress) -> None:
    """Fetch every entry into `directory`.

    An archive that contains several entries is downloaded only once. If any entry could not be fetched,
    FetchFailed is raised at the end; the fetched files are kept.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="facerec-fetch-") as scratch:
        archives = Archives(Path(scratch), progress)
        for entry in entries:
            try:
                fetch(entry, directory, progress, archives=archives)
            except FetchFailed as error:
                failures.append(error.message)
    if failures:
        raise FetchFailed("\n".join(failures))


def fetch(entry: Entry, directory: Path, progress: Progress, *, archives: Archives) -> None:
    """Fetch `entry` into `directory` from the first source that returns the right bytes.

    A file that already has the right bytes isn't fetched again. A new file is moved into place atomically
    after its sha256 is verified. Raises FetchFailed, with the reason why each source failed.
    """
    target = directory / entry.file
    if target.is_file() and target.stat().st_size == entry.size and sha256_of(target) == entry.sha256:
        progress(f"{entry.file}: already fetched")
        return
    directory.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for source in entry.sources:
        progress(f"{entry.file}: fetching from {source}")
        try:
            _fetch_from(source, entry, target, archives)
        except SourceFailed as error:
            failures.append(f"  {source}: {error}")
            progress(f"{entry.file}: {error}")
            continue
        progress(f"{entry.file}: {entry.size:,} bytes, sha256 verified")
        return
    raise FetchFailed("\n".join([f"{entry.file} could not be fetched:", *failures]))


def _fetch_from(source: Source, entry: Entry, target: Path, archives: Archives) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, _open(source, archives) as stream:
            _copy(stream, file, entry)
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _copy(stream: IO[bytes], file: IO[bytes], entry: Entry) -> None:
    digest, size = hashlib.sha256(), 0
    while chunk := _read(stream):
        size += len(chunk)
        if size > entry.size:
            raise SourceFailed(f"wrong file: longer than {entry.size:,} bytes")
        digest.update(chunk)
        file.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise SourceFailed(f"wrong file: {size:,} bytes with sha256 {digest.hexdigest()}, not {entry.sha256}")


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK_BYTES)
    except (http.client.HTTPException, *DAMAGED) as error:
        raise SourceFailed(f"could not be read completely: {error}") from error


def _open(source: Source, archives: Archives) -> IO[bytes]:
    if source.url:
        try:
            # The URLs are from the catalogue, which is part of the code.
            stream: IO[bytes] = urllib.request.urlopen(source.url, timeout=URL_TIMEOUT_SECONDS)  # noqa: S310
            return stream
        except (OSError, http.client.HTTPException) as error:
            raise SourceFailed(f"request failed: {error}") from error
    return archives.open(source)


class Archives:
    """Downloads each wheel or source archive into the folder `scratch`, at most once."""

    def __init__(self, scratch: Path, progress: Progress) -> None:
        self._scratch = scratch
        self._progress = progress
        self._downloads: dict[tuple[str, str], Path | SourceFailed] = {}

    def open(self, source: Source) -> IO[bytes]:
        """Return the source's member as a stream. Raises SourceFailed."""
        archive = self._archive(source.package, source.archive)
        try:
            if zipfile.is_zipfile(archive):
                return zipfile.ZipFile(archive).open(source.member)
            # The archive must stay open while the member is read, which keeps a reference to its file.
            member = tarfile.open(archive).extractfile(source.member)  # noqa: SIM115
        except (KeyError, *DAMAGED) as error:
            raise SourceFailed(f"{archive.name} can't be read: {error}") from error
        if member is None:
            raise SourceFailed(f"{source.member} in {archive.name} is not a file")
        return member

    def _archive(self, package: str, kind: str) -> Path:
        if (package, kind) not in self._downloads:
            try:
                self._downloads[package, kind] = self._download(package, kind)
            except SourceFailed as error:
                self._downloads[package, kind] = error
        download = self._downloads[package, kind]
        if isinstance(download, SourceFailed):
            raise download
        return download

    def _download(self, package: str, kind: str) -> Path:
        folder = self._scratch / f"{package}-{kind}"
        folder.mkdir()
        # For a source archive, pip also prepares the metadata with a build backend. That may be a wheel, so
        # --no-binary names only the package instead of :all:.
        form = ["--only-binary", ":all:"] if kind == "wheel" else ["--no-binary", package.split("==")[0]]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", *form]
        try:
            process = subprocess.run(  # noqa: S603 the package is from the catalogue, which is part of the code
                [*command, "--dest", str(folder), package],
                capture_output=True,
                text=True,
                timeout=PIP_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceFailed(f"pip download could not be run: {error}") from error
        files = list(folder.iterdir())
        if process.returncode or len(files) != 1:
            reason = (process.stderr.strip() or "no reason given").splitlines()[-1]
            raise SourceFailed(f"pip download failed: {reason}")
        self._progress(f"{files[0].name}: downloaded, {files[0].stat().st_size:,} bytes")
        return files[0]
