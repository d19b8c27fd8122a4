"""All files, modules and functions that the pages for contributors name exist."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

from tests.markdown_samples import ROOT, inline_code

PAGES = ("docs/architecture.md", "docs/contributing.md")
QUOTED = sorted({text for page in PAGES for quotes in inline_code(page) for text in quotes})
FOLDERS = ("", "people", "facerec_site", "tests")
"""The folders that paths in the pages may be relative to."""
PATHS = [text for text in QUOTED if re.fullmatch(r"[A-Za-z_.][\w./-]*(/|\.(py|toml|md|yaml))", text)]
NAMES = [text for text in QUOTED if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", text) and text not in PATHS]
CREATED = {"broker/", "var/"}
"""Folders that the service creates."""


def test_the_pages_name_many_files_and_functions() -> None:
    assert len(NAMES) > 40
    assert len(PATHS) > 50


@pytest.mark.parametrize("path", [path for path in PATHS if path not in CREATED])
def test_each_file_or_folder_exists(path: str) -> None:
    assert any((ROOT / folder / path).exists() for folder in FOLDERS)


@pytest.mark.parametrize("name", NAMES)
def test_each_module_function_or_class_exists(name: str) -> None:
    assert any(_resolve(f"{package}{name}") for package in ("", "people.", "facerec_site."))


def _resolve(dotted: str) -> Any:
    """Return the module, or the member of a module, that has this name; or None."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            member: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            member = getattr(member, part, None)
        return member
    return None
