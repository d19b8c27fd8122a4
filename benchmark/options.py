"""Parsers of the commands' options. Each raises ArgumentTypeError with the reason."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

from benchmark import chart, sample_photos

MAX_COUNT = 100_000_000


def positive(text: str) -> int:
    return _number(text, 1, MAX_COUNT)


def counts(text: str) -> list[int]:
    """Parse sizes of collections, such as 1000,10000."""
    return [positive(item) for item in _items(text)]


def group_sizes(text: str) -> list[int]:
    """Parse numbers of people in one photo, such as 1,2,5."""
    return [_number(item, 1, sample_photos.MAX_GROUP) for item in _items(text)]


def cores(text: str) -> list[int]:
    """Parse core numbers, such as 0,1."""
    return sorted({_number(item, 0, MAX_COUNT) for item in _items(text)})


def photo_sizes(text: str) -> list[tuple[int, int]]:
    """Parse widths and heights in pixels, such as 480x720,1080x1620."""
    return [_size(item) for item in _items(text)]


def chart_file(text: str) -> Path:
    path = Path(text)
    if path.suffix not in chart.SUFFIXES:
        raise ArgumentTypeError(f"{path} must end in {' or '.join(chart.SUFFIXES)}.")
    return path


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    try:
        return positive(width), positive(height)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{text!r} is not a size. Write it as 480x720.") from error


def _number(text: str, minimum: int, maximum: int) -> int:
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise ArgumentTypeError(f"{text!r} is not a number from {minimum} to {maximum:,}.")
    return int(text)
