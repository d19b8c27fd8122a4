"""docs/architecture.md names files, modules and functions: all of them exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
QUOTED = sorted(set(re.findall(r"`([^`\s]+)`", PAGE)))
FOLDERS = ("", "people", "facerec_site", "tests")
"""What the page's paths are relative to."""
NAMES = [
    text for text in QUOTED if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", text) and "py" not in text.split(".")
]
PATHS = [text for text in QUOTED if re.fullmatch(r"[A-Za-z_.][\w./-]*(/|\.py|\.toml)", text)]
CREATED = {"var/", "photos/", "models/", "broker/", "evaluation/"}
"""Folders that the service creates; some share their name with a package."""


def test_the_page_names_many_files_and_functions() -> None:
    assert len(NAMES) > 40
    assert len(PATHS) > 50


@pytest.mark.parametrize("path", [path for path in PATHS if path not in CREATED])
def test_each_file_or_folder_exists(path: str) -> None:
    assert any((ROOT / folder / path).exists() for folder in FOLDERS)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(("sqlite3", ".md", ".toml"))])
def test_each_function_or_class_exists(name: str) -> None:
    assert _resolve(f"people.{name}") or _resolve(f"facerec_site.{name}")


def _resolve(dotted: str) -> Any:
    """Return the module's member with this name, or None."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 1, -1):
        try:
            member: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            member = getattr(member, part, None)
        return member
    return None
