"""Entries of an import's source, and the rules for names that are refused or ignored."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from people.errors import FacerecError, ImportRefused

MAX_ENTRIES = 100_000
MAX_PATH = 1024
"""Characters."""
_JUNK = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a source. `size` is in bytes; `mark` changes if the file's content changes."""

    path: str
    size: int
    mark: str
    problem: FacerecError | None = None


def folder_of(path: str) -> str | None:
    """Return the person's folder in a photo's path, `composed`; None if the path isn't `person/photo.jpg`."""
    folder, _, file = path.partition("/")
    return composed(folder) if file and "/" not in file else None


def composed(name: str) -> str:
    """Return a folder's name in Unicode normalisation form C, in which folder names are compared.

    macOS writes an accented letter as two characters; keyboards produce one.
    """
    return unicodedata.normalize("NFC", name)


def is_junk(path: str) -> bool:
    """Return whether the file is one that macOS or Windows creates automatically."""
    parts = path.split("/")
    return parts[0] == "__MACOSX" or parts[-1] in _JUNK or parts[-1].startswith("._")


def refuse_tricks(path: str) -> None:
    """Raise ImportRefused for a path that would be outside the target folder if it were extracted."""
    parts = path.removesuffix("/").split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or "\0" in path
        or re.match(r"[A-Za-z]:", path)
    ):
        raise ImportRefused(
            "The source contains a path that is absolute or that has an empty, . or .. part, a backslash, a "
            "drive letter or a NUL. Name every file person/photo.jpg, and put other ids into people.csv."
        )
