"""A photo with boxes drawn over its faces, as the template `people/figure.html` wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """One box, in pixels of the photo. `kind` is `good`, `poor` or `unsure`, and never the only sign."""

    left: float
    top: float
    width: float
    height: float
    kind: str
    label: str = ""

    @property
    def right(self) -> float:
        return self.left + self.width

    @classmethod
    def at(cls, box: Mapping[str, float], kind: str, label: str = "") -> Mark:
        return cls(box["left"], box["top"], box["width"], box["height"], kind, label)


@dataclass(frozen=True, slots=True)
class Figure:
    href: str
    width: int
    height: int
    description: str
    marks: Sequence[Mark]

    @property
    def half_width(self) -> float:
        """From here on, a label is written towards the left, so that it stays inside."""
        return self.width / 2

    @property
    def text_size(self) -> float:
        return max(self.width, self.height) / 28

    @property
    def line_width(self) -> float:
        return max(self.width, self.height) / 180
