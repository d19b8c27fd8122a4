"""What is deployed: the stacks in their order, and the operator's parameters.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .account import Refused

FOLDER = Path(__file__).resolve().parents[1]
ROOT = FOLDER.parent
PARAMETERS_FILE = FOLDER / "parameters.toml"
STACKS = ("network", "data", "edge", "service", "ops", "ci")
"""In the order in which each finds what it needs; `ci` only with GitHubRepository."""


def stack_name(part: str) -> str:
    return f"facerec-api-{part}"


def template(part: str) -> str:
    return (FOLDER / "cloudformation" / f"{part}.yaml").read_text()


def read_parameters(path: Path) -> dict[str, str]:
    """Return the operator's choices. Raises Refused for a file that can't be read."""
    try:
        with path.open("rb") as file:
            chosen = tomllib.load(file)
    except FileNotFoundError as error:
        raise Refused(f"There is no {path}: give --parameters FILE.") from error
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{path} is not TOML: {error}.") from error
    return {name: _text(name, value) for name, value in chosen.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise Refused(f"{name} must be a text, a number, true or false.")


def check_names(chosen: Mapping[str, str], known: set[str]) -> None:
    """Raises Refused for a name that no template has: a misspelt option must not be ignored."""
    for name in chosen:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise Refused(f"No template has a parameter {name}.{hint}")
