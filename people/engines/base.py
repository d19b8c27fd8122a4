"""What a face engine is: detect, align, embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from people.decision import Calibration
from people.faces import Chip, DetectedFace, RGBImage, Vectors


class FaceEngine(Protocol):
    """Detector, aligner and recogniser, used together; safe to call from several threads.

    Vectors of engines that differ in `name` or `version` are never compared.
    """

    name: str
    version: int
    dimension: int
    sure_confidence: float
    """A face detected with this confidence lies upright; below it, other turns are tried too."""

    @property
    def calibration(self) -> Calibration:
        """What a cosine of this engine stands for. Raises ImproperlyConfigured if it wasn't measured."""
        ...

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        """Return every face in `image`, largest first."""
        ...

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        """Return `face`, cut out of `image` and turned upright, as the recogniser wants it."""
        ...

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        """Return one vector a chip, (n, dimension) float32, in the model's own length.

        `thoroughly` for references, which are made once and compared with for years: an engine may take
        twice as long for them. Callers bring vectors to unit length before they compare (`extraction`).
        """
        ...
