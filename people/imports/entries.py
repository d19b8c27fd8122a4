"""What an import's source lists: its files, and the names that are refused or passed over."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from people.errors import FacerecError, ImportRefused

MAX_ENTRIES = 100_000
MAX_PATH = 1024
_JUNK = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source; `mark` changes with its content."""

    path: str
    size: int
    mark: str
    problem: FacerecError | None = None


def folder_of(path: str) -> str | None:
    """Return the person's folder of a photo's path, or None when it is not `person/photo.jpg`.

    In its composed form: see `composed`.
    """
    folder, _, file = path.partition("/")
    return composed(folder) if file and "/" not in file else None


def composed(name: str) -> str:
    """Return a folder's name as it is compared with others: in Unicode's normalisation form C.

    macOS writes an accented letter as two characters, and keyboards as one.
    """
    return unicodedata.normalize("NFC", name)


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
            "The source contains a name that is absolute, leads upward, or has a backslash, a drive letter "
            "or a NUL in it. Name everything person/photo.jpg; put other ids into people.csv."
        )
