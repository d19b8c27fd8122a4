"""JSON that every part of the product can store and send on; what is ambiguous or can't be stored is refused.

Python's decoder accepts more: NaN, numbers that become infinite, NUL (PostgreSQL stores none), lone
surrogates (UTF-8 can't encode them), objects that repeat a name, and any depth that its stack allows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Arrays and objects inside each other. The API's own bodies need four; the rest is for metadata."""
_MAX_DIGITS = 309
"""Of an integer: those of the largest double. Python refuses to read 4,301 or more."""


class StrictDecoder(json.JSONDecoder):
    """A decoder for `json.loads(text, cls=StrictDecoder)`. It raises json.JSONDecodeError, a ValueError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                **options,
                "object_pairs_hook": _object,
                "parse_float": _float,
                "parse_int": _int,
                "parse_constant": _refuse_constant,
            }
        )

    def decode(self, s: str, *args: Any) -> Any:
        try:
            value = super().decode(s, *args)
            check(value)
        except RecursionError as error:
            raise json.JSONDecodeError(_TOO_DEEP, s, 0) from error
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), s, 0) from error
        return value


_TOO_DEEP = f"Arrays and objects are nested more than {MAX_DEPTH} deep"


def check(value: Any) -> None:
    """Raise ValueError if decoded JSON holds what StrictDecoder refuses, apart from repeated names."""
    level: list[Any] = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                check_text(item)
            elif isinstance(item, float) and not math.isfinite(item):
                _refuse_constant(str(item))
            elif isinstance(item, dict):
                for name in item:
                    check_text(name)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > MAX_DEPTH:
            raise ValueError(_TOO_DEEP)
        level = below


def check_text(text: str) -> None:
    """Raise ValueError if a text can't be stored or encoded: it holds NUL or a lone surrogate."""
    if "\0" in text:
        raise ValueError("A text contains a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "A text contains half of a surrogate pair, which isn't a valid character"
            ) from error


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            shown = name[:40].encode(errors="replace").decode()
            raise ValueError(f"An object has `{shown}` more than once")
        members[name] = value
    return members


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("A number is too large for a 64-bit float")
    return number


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError("A number is too large for a 64-bit float")
    number = int(text)
    _float(text)
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
