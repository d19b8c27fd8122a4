"""An engine that times its own steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from people.decision import Calibration
from people.engines.base import FaceEngine
from people.faces import Chip, DetectedFace, RGBImage, Vectors

STEPS = ("detect", "align", "embed")


class TimedEngine:
    """Passes every call to the given engine, and adds up the seconds that each of the STEPS takes."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.name, self.version = engine.name, engine.version
        self.dimension, self.sure_confidence = engine.dimension, engine.sure_confidence
        self.seconds = dict.fromkeys(STEPS, 0.0)

    @property
    def calibration(self) -> Calibration:
        return self._engine.calibration

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        with self._timed("detect"):
            return self._engine.detect(image)

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        with self._timed("align"):
            return self._engine.align(image, face)

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        with self._timed("embed"):
            return self._engine.embed(chips, thoroughly=thoroughly)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - started
