"""Decode JSON strictly: reject text that is ambiguous, or that some part of the product can't store or send.

Python's decoder accepts more: NaN, numbers that become infinite, NUL (PostgreSQL can't store it), lone
surrogates (UTF-8 can't encode them), objects that repeat a name, and any depth that its stack allows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Levels of nested arrays and objects. The API's own bodies need four; the rest are for metadata."""
_MAX_DIGITS = 309
"""Digits of an integer: as many as the largest 64-bit float has. Python itself refuses 4,301 or more."""


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
    """Raise ValueError if decoded JSON contains a value that StrictDecoder rejects.

    Repeated names are no longer visible in decoded JSON, so they aren't checked.
    """
    level: list[Any] = [value]
    depth = 0
    while level:
        next_level: list[Any] = []
        for item in level:
            if isinstance(item, str):
                check_text(item)
            elif isinstance(item, float) and not math.isfinite(item):
                _refuse_constant(str(item))
            elif isinstance(item, dict):
                for name in item:
                    check_text(name)
                next_level.extend(item.values())
            elif isinstance(item, list):
                next_level.extend(item)
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > MAX_DEPTH:
            raise ValueError(_TOO_DEEP)
        level = next_level


def check_text(text: str) -> None:
    """Raise ValueError if a text can't be stored or encoded: it contains NUL or a lone surrogate."""
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
            printable_name = name[:40].encode(errors="replace").decode()
            raise ValueError(f"An object has `{printable_name}` more than once")
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
