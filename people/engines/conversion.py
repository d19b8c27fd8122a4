"""Models rewritten for the runtime: made on this machine, checked against the original, kept beside it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from people.engines.registry import Progress, sha256_of
from people.errors import FacerecError

MANIFEST = "converted.json"
"""Beside the converted files: what each was made from, by which version, and how exact it is."""
CONVERTERS = ("people.engines.dlib",)
"""Modules with a function `convert(directory, progress)`, each of which may lack its packages."""


class NotEqual(FacerecError):
    """A converted model does not compute what its original does. It is not kept."""

    code = "not_equal"
    message = "The converted model differs from its original."


def convert_all(directory: Path, progress: Progress) -> None:
    """Convert every model whose packages are installed. Raises NotEqual."""
    for name in CONVERTERS:
        try:
            converter = import_module(name)
        except ImproperlyConfigured:
            continue  # the engine isn't installed
        converter.convert(directory, progress)


def convert(
    source: Path,
    target: Path,
    version: int,
    make: Callable[[bytes], bytes],
    difference: Callable[[Path], float],
    max_difference: float,
    progress: Progress,
) -> None:
    """Write what `make` makes of `source` to `target`, at once and whole, unless it is there already.

    `difference` says how far the file at a path is from the original, in the numbers of a vector.
    Raises NotEqual if that is more than `max_difference`; what was there before then stays.
    """
    if current(source, target, version):
        progress(f"{target.name}: already converted")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The runtime tells a model's kind by its file's name.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as scratch:
        made = Path(scratch) / target.name
        made.write_bytes(make(source.read_bytes()))
        found = difference(made)
        if not found <= max_difference:  # nor if it is not a number
            raise NotEqual(f"{target.name} differs from {source.name} by {found:.1e}. It is not used.")
        entry = {
            "source": source.name,
            "source_sha256": sha256_of(source),
            "sha256": sha256_of(made),
            "converter": version,
            "difference": found,
        }
        made.chmod(0o644)
        made.replace(target)
    _write(target.parent, {**_manifest(target.parent), target.name: entry})
    progress(f"{target.name}: converted from {source.name}, equal to {found:.1e}")


def current(source: Path, target: Path, version: int) -> bool:
    """Return whether `target` is what this `version` of its converter made of `source`."""
    if not source.is_file() or not target.is_file():
        return False
    entry = _manifest(target.parent).get(target.name)
    return (
        isinstance(entry, dict)
        and entry.get("converter") == version
        and entry.get("source_sha256") == sha256_of(source)
        and entry.get("sha256") == sha256_of(target)
    )


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        content = json.loads((directory / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}  # what it says is only ever a reason not to convert again
    return content if isinstance(content, dict) else {}


def _write(directory: Path, content: dict[str, Any]) -> None:
    handle, name = tempfile.mkstemp(dir=directory, prefix=f".{MANIFEST}.")
    partial = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=2)
        partial.chmod(0o644)
        partial.replace(directory / MANIFEST)
    finally:
        partial.unlink(missing_ok=True)
