"""dlib's HOG detector, 5-point landmark predictor and ResNet: its vectors equal those of `face_recognition`.

Needs the packages of requirements/dlib.txt. The 68-point predictor is never loaded: its licence forbids
commercial use.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.core.exceptions import ImproperlyConfigured

from people.decision import Calibration
from people.engines.calibrations import measured_calibration
from people.engines.dlib_resnet import CHIP_SIDE, DIMENSION, build_network
from people.engines.fetching import sha256_of
from people.engines.runtime import Network
from people.faces import Box, Chip, DetectedFace, Point, RGBImage, Vectors

try:
    import dlib
    import face_recognition_models
except ImportError as error:
    raise ImproperlyConfigured(
        "The dlib engine is not installed. Run `pip install --no-deps -r requirements/dlib.txt`."
    ) from error

PADDING = 0.25
"""Space around the face in a chip, as a fraction of the face's size: the ResNet was trained with it."""
PREDICTOR_SHA256 = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
RESNET_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""Hashes of the files in face-recognition-models 0.3.0. The vectors of other weights couldn't be compared
with those stored as `dlib-resnet/1`, and would need a different calibration."""


class DlibEngine:
    """The engine of `face_recognition`: slower and less accurate than OnnxEngine, but entirely CC0."""

    name = "dlib-resnet"
    version = 1
    dimension = DIMENSION
    sure_confidence = 0.0  # the HOG detector finds upright faces only

    def __init__(self, *, threads: int) -> None:
        """Load the models. Raises ImproperlyConfigured if a model file is missing or damaged."""
        predictor = _checked(
            face_recognition_models.pose_predictor_five_point_model_location(), PREDICTOR_SHA256
        )
        weights = _checked(face_recognition_models.face_recognition_model_location(), RESNET_SHA256)
        self._detector = dlib.get_frontal_face_detector()
        self._detector_lock = threading.Lock()  # a detector object contains its working memory
        self._predictor = dlib.shape_predictor(str(predictor))
        self._network = Network(
            build_network(weights.read_bytes()), threads=threads, shape=(CHIP_SIDE, CHIP_SIDE), colour="rgb"
        )

    @property
    def calibration(self) -> Calibration:
        return measured_calibration(f"{self.name}/{self.version}")

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        """Return every face in `image`, largest first. If there is none, search again at twice the size.

        `confidence` is derived from the distance between the HOG detector's score and its threshold. It is
        0.7 at the threshold, where a face is about as certain as one that YuNet detects with 0.7, and rises
        to 1 at a distance of 1 or more.
        """
        with self._detector_lock:
            for upsampling in (0, 1):
                boxes, scores, _ = self._detector.run(image, upsampling, 0.0)
                if boxes:
                    break
        faces = [self._face(image, box, score) for box, score in zip(boxes, scores, strict=True)]
        return sorted(faces, key=lambda face: face.box.area, reverse=True)

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        """Return the face as (150, 150, 3), aligned by dlib on five landmarks that it locates in the box."""
        shape = self._predictor(image, _rectangle(face.box))
        return np.asarray(dlib.get_face_chip(image, shape, CHIP_SIDE, PADDING), dtype=np.uint8)

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        """Return one vector per chip, (n, 128) float32, not normalised; `thoroughly` has no effect."""
        vectors = np.empty((len(chips), self.dimension), np.float32)
        for vector, chip in zip(vectors, chips, strict=True):
            vector[:] = self._network(np.ascontiguousarray(chip))["vectors"][0]
        return vectors

    def _face(self, image: RGBImage, box: Any, score: float) -> DetectedFace:
        shape = self._predictor(image, box)
        points = [(float(point.x), float(point.y)) for point in shape.parts()]
        # The 5-point predictor returns both corners of each eye, the person's left eye first.
        return DetectedFace(
            box=Box(float(box.left()), float(box.top()), float(box.width()), float(box.height())),
            landmarks={
                "left_eye": _midpoint(points[2], points[3]),
                "right_eye": _midpoint(points[0], points[1]),
                "nose": points[4],
            },
            confidence=0.7 + 0.3 * min(max(score, 0.0), 1.0),
        )


def _checked(location: str, sha256: str) -> Path:
    path = Path(location)
    if not path.is_file() or sha256_of(path) != sha256:
        raise ImproperlyConfigured(
            f"The model file {path} is missing or damaged, or belongs to another version. "
            "Run `pip install --force-reinstall --no-deps -r requirements/dlib.txt`."
        )
    return path


def _rectangle(box: Box) -> Any:
    left, top = round(box.left), round(box.top)
    # dlib's rectangles include their last row and column.
    return dlib.rectangle(left, top, left + round(box.width) - 1, top + round(box.height) - 1)


def _midpoint(first: Point, second: Point) -> Point:
    return (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
