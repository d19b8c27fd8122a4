"""dlib's HOG detector, 5-point predictor and ResNet: the vectors of `face_recognition`.

Needs the packages of requirements/dlib.txt. The 68-point predictor, whose licence forbids
commercial use, is never loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from people.decision import Calibration
from people.engines import conversion
from people.engines.calibrations import measured_calibration
from people.engines.dlib_resnet import CHIP_SIDE, onnx_model
from people.engines.registry import Progress
from people.engines.runtime import Network
from people.faces import Box, Chip, DetectedFace, RGBImage, Vectors

try:
    import dlib
    import face_recognition_models
except ImportError as error:
    raise ImproperlyConfigured(
        "The dlib engine is not installed. Run `pip install --no-deps -r requirements/dlib.txt`."
    ) from error

PADDING = 0.25
"""Of the face's size on each side of it, in a chip: what the ResNet was trained with."""
CONVERTED = "dlib_face_recognition_resnet_model_v1.onnx"
CONVERTER = 1
"""To be raised when `onnx_model` makes another file, so that the old one is not used."""
MAX_DIFFERENCE = 1e-5
"""Between a number of the converted network's vector and of dlib's own."""


class DlibEngine:
    """The engine of `face_recognition`; slower and weaker than OnnxEngine, and CC0 throughout."""

    name = "dlib-resnet"
    version = 1
    dimension = 128
    sure_confidence = 0.0  # HOG finds no face that lies on its side

    def __init__(self, *, threads: int) -> None:
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(
            face_recognition_models.pose_predictor_five_point_model_location()
        )
        # The detector and dlib's network keep the working memory of a call in themselves.
        self._lock = threading.Lock()
        converted = Path(settings.FACEREC_MODELS_DIR) / CONVERTED
        self._network: _Original | _Converted
        if conversion.current(_resnet(), converted, CONVERTER):
            self._network = _Converted(converted, threads=threads)
        else:
            self._network = _Original(self._lock)

    @property
    def calibration(self) -> Calibration:
        return measured_calibration(f"{self.name}/{self.version}")

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        """Return every face in `image`, largest first; doubled in size if it shows none as it is.

        `confidence` is made from the HOG detector's distance from its threshold: 0.7 at the threshold,
        where a face is about as sure as YuNet's at 0.7, to 1 at a distance of 1 and more.
        """
        with self._lock:
            for upsampling in (0, 1):
                boxes, scores, _ = self._detector.run(image, upsampling, 0.0)
                if boxes:
                    break
        faces = [self._face(image, box, score) for box, score in zip(boxes, scores, strict=True)]
        return sorted(faces, key=lambda face: face.box.area, reverse=True)

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        """Return the face as (150, 150, 3), by dlib's own 5-point alignment within the face's box."""
        shape = self._predictor(image, _rectangle(face.box))
        return np.asarray(dlib.get_face_chip(image, shape, CHIP_SIDE, PADDING), dtype=np.uint8)

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        """Return one vector a chip, (n, 128) float32, not of unit length; references as probes."""
        if not chips:
            return np.empty((0, self.dimension), np.float32)
        return self._network.vectors(chips)

    def _face(self, image: RGBImage, box: Any, score: float) -> DetectedFace:
        shape = self._predictor(image, box)
        points = [(float(point.x), float(point.y)) for point in shape.parts()]
        # The 5-point predictor gives both corners of each eye, the person's left eye first.
        return DetectedFace(
            box=Box(float(box.left()), float(box.top()), float(box.width()), float(box.height())),
            landmarks={
                "left_eye": _middle(points[2], points[3]),
                "right_eye": _middle(points[0], points[1]),
                "nose": points[4],
            },
            confidence=0.7 + 0.3 * min(max(score, 0.0), 1.0),
        )


class _Original:
    """dlib's own network, which computes in the caller's thread, whatever it is told."""

    def __init__(self, lock: threading.Lock) -> None:
        self._network = dlib.face_recognition_model_v1(str(_resnet()))
        self._lock = lock

    def vectors(self, chips: Sequence[Chip]) -> Vectors:
        with self._lock:
            found = [self._network.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips]
        return np.array(found, np.float32)


class _Converted:
    """The same network as `convert` made it: ten times faster and more, and equal to 1e-5."""

    def __init__(self, path: Path, *, threads: int) -> None:
        self._network = Network(path, threads=threads, shape=(CHIP_SIDE, CHIP_SIDE), colour="rgb")
        self._vector = self._network.outputs[0]

    def vectors(self, chips: Sequence[Chip]) -> Vectors:
        return np.concatenate([self._network(np.ascontiguousarray(chip))[self._vector] for chip in chips])


def convert(directory: Path, progress: Progress) -> None:
    """Write the ResNet as ONNX into `directory`, checked on noise and on the sample photos that are there.

    Raises NotEqual.
    """

    def difference(path: Path) -> float:
        chips = [*_noise(), *_sample_chips()]
        original, converted = _Original(threading.Lock()), _Converted(path, threads=1)
        return float(np.abs(original.vectors(chips) - converted.vectors(chips)).max())

    conversion.convert(
        _resnet(), directory / CONVERTED, CONVERTER, onnx_model, difference, MAX_DIFFERENCE, progress
    )


def _noise() -> Iterator[Chip]:
    random = np.random.default_rng(150)
    for grain in (1, 5, 30):
        coarse = random.integers(0, 256, (CHIP_SIDE // grain, CHIP_SIDE // grain, 3), np.uint8)
        yield np.ascontiguousarray(coarse.repeat(grain, axis=0).repeat(grain, axis=1))


def _sample_chips() -> Iterator[Chip]:
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_five_point_model_location())
    for path in sorted(Path(settings.FACEREC_SAMPLES_DIR).glob("*.jpg")):
        image = dlib.load_rgb_image(str(path))
        for box in detector(image, 0):
            yield np.asarray(dlib.get_face_chip(image, predictor(image, box), CHIP_SIDE, PADDING), np.uint8)


def _resnet() -> Path:
    return Path(face_recognition_models.face_recognition_model_location())


def _rectangle(box: Box) -> Any:
    left, top = round(box.left), round(box.top)
    # dlib's rectangles include their last row and column.
    return dlib.rectangle(left, top, left + round(box.width) - 1, top + round(box.height) - 1)


def _middle(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
