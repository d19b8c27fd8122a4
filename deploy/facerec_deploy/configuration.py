"""The stacks in the order of their deployment, and the operator's parameters.toml."""

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
"""Each needs outputs of those before it. `ci` is deployed only with GitHubRepository."""


def stack_name(part: str) -> str:
    return f"facerec-api-{part}"


def template(part: str) -> str:
    return (FOLDER / "cloudformation" / f"{part}.yaml").read_text()


def read_parameters(path: Path) -> dict[str, str]:
    """Return the operator's parameters. Raises Refused if the file is missing or invalid."""
    try:
        with path.open("rb") as file:
            parameters = tomllib.load(file)
    except FileNotFoundError as error:
        raise Refused(f"{path} does not exist. Pass its path with --parameters FILE.") from error
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{path} is not valid TOML: {error}.") from error
    return {name: _text(name, value) for name, value in parameters.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise Refused(f"{name} must be a string, an integer, true or false.")


def check_names(parameters: Mapping[str, str], declared: set[str]) -> None:
    """Raise Refused for a name that no template has: a misspelt parameter must not be ignored."""
    for name in parameters:
        if name not in declared:
            similar_names = difflib.get_close_matches(name, declared, n=1)
            hint = f" Did you mean {similar_names[0]}?" if similar_names else ""
            raise Refused(f"No template has the parameter {name}.{hint}")
