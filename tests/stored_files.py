"""The files in the photo storage."""

from __future__ import annotations

from pathlib import Path

from people.models.photo import photo_storage


def stored_files() -> list[str]:
    """Return the names of all stored files, sorted."""
    root = Path(photo_storage().path(""))
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
