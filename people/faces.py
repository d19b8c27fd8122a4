"""The types of images and faces used throughout the product: arrays, boxes and detected faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RGBImage = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB, upright, C-contiguous."""
Chip = NDArray[np.uint8]
"""(side, side, 3) uint8 RGB: one aligned face; the engine determines the side length in pixels."""
Vectors = NDArray[np.float32]
"""(n, d) float32."""
Point = tuple[float, float]
"""(x, y) in pixels of the image, origin at the top left."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels; it may extend beyond the image."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def relative_to(self, width: int, height: int) -> Box:
        """Return the box in fractions, 0–1, of the size of an image in pixels."""
        return Box(self.left / width, self.top / height, self.width / width, self.height / height)

    def overlap(self, other: Box) -> float:
        """Return the intersection over union of the two boxes, 0–1."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        shared = max(across, 0.0) * max(down, 0.0)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face as detected.

    `landmarks` contains at least `left_eye`, `right_eye` and `nose`, and also `mouth_left` and `mouth_right`
    if the engine locates them. Left and right are the viewer's: in an upright face, `left_eye` has the
    smaller x. `confidence`, 0–1, is reported by the detector.
    """

    box: Box
    landmarks: Mapping[str, Point]
    confidence: float

    def moved(self, box: Box, landmarks: Mapping[str, Point]) -> DetectedFace:
        """Return the same face with the box and landmarks that it has in another view of the photo."""
        return replace(self, box=box, landmarks=landmarks)
