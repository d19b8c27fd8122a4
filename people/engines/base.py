"""The interface of face engines: detect, align, embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from people.decision import Calibration
from people.faces import Chip, DetectedFace, RGBImage, Vectors


class FaceEngine(Protocol):
    """A detector, aligner and recogniser that are used together. Safe to call from several threads.

    Vectors of engines that differ in `name` or `version` are never compared.
    """

    name: str
    version: int
    dimension: int
    sure_confidence: float
    """A face detected with this confidence is upright; below it, the photo is also searched rotated."""

    @property
    def calibration(self) -> Calibration:
        """Return the calibration of this engine's cosines. Raises ImproperlyConfigured if there is none."""
        ...

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        """Return every face in `image`, largest first."""
        ...

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        """Return `face` cropped from `image` and turned upright, as the recogniser expects it."""
        ...

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        """Return one vector per chip, (n, dimension) float32, not normalised.

        `thoroughly` is for references, which are computed once and used for years: an engine may take twice
        as long for them. Callers scale the vectors to unit length before comparing them (`extraction`).
        """
        ...
