"""The baselines that the engine is compared with, by the names that `--against` accepts."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np

from benchmark.opencv_baseline import OpenCVBaseline

Baseline = Callable[[bytes], Sequence[np.ndarray]]
"""Takes the bytes of a JPEG and returns the vectors of its faces."""


def _face_recognition() -> Baseline:
    """Use the library as its documentation shows."""
    # imported only if it is measured, because loading dlib's models takes seconds
    import face_recognition

    def encode(data: bytes) -> Sequence[np.ndarray]:
        vectors: list[np.ndarray] = face_recognition.face_encodings(
            face_recognition.load_image_file(io.BytesIO(data))
        )
        return vectors

    return encode


BASELINES: dict[str, Callable[[], Baseline]] = {
    "face_recognition": _face_recognition,
    "plain": OpenCVBaseline,
}
"""Functions that load a baseline's models."""
