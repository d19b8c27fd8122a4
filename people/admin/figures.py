"""A photo with boxes drawn over its faces, in the form that the template `people/figure.html` expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LETTER_WIDTH = 0.66
"""The greatest width of a bold letter in a common sans-serif font, as a share of the text size."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One box, in pixels of the photo.

    `kind` is `good`, `poor` or `unsure`. It sets the colour, so the page must also say it in words.
    """

    left: float
    top: float
    width: float
    height: float
    kind: str
    label: str = ""

    @classmethod
    def at(cls, box: Mapping[str, float], kind: str, label: str = "") -> Mark:
        return cls(box["left"], box["top"], box["width"], box["height"], kind, label)


@dataclass(frozen=True, slots=True)
class Label:
    """Where a mark's text starts or ends (`anchor`): the baseline's `x` and `y` in pixels of the photo."""

    x: float
    y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Figure:
    href: str
    width: int
    height: int
    description: str
    marks: Sequence[Mark]

    @property
    def drawn(self) -> list[tuple[Mark, Label]]:
        """Each mark with its label, which stays inside the photo: above the box, or in it at the top edge."""
        labelled = []
        for mark in self.marks:
            # towards the middle of the photo, and no further than its other edge
            length = min(LETTER_WIDTH * self.text_size * len(mark.label), self.width)
            on_the_right = mark.left + mark.width / 2 > self.width / 2
            if on_the_right:
                x = max(min(mark.left + mark.width, self.width), length)
            else:
                x = min(max(mark.left, 0), self.width - length)
            has_room = mark.top > 1.3 * self.text_size
            y = mark.top - 0.3 * self.text_size if has_room else max(mark.top, 0) + 1.1 * self.text_size
            anchor = "end" if on_the_right else "start"
            labelled.append((mark, Label(x, y, anchor)))
        return labelled

    @property
    def text_size(self) -> float:
        return self.width / 26  # readable where the photo fills a phone

    @property
    def line_width(self) -> float:
        return max(self.width, self.height) / 180
