"""YuNet detects faces with five landmarks: the same as cv2.FaceDetectorYN, in less than half the time."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from people.engines.runtime import Array, Network
from people.faces import RGBImage

STRIDES = (8, 16, 32)
DIVISOR = 32
"""The input's sides must be multiples of this: images are padded with black on the right and the bottom."""
CANDIDATES = 5000
"""The most boxes that are compared when duplicates are suppressed."""
OWN_SHAPES = 4
"""How many networks are compiled for one shape only. Such a network takes a third less time per image.
It takes a tenth of a second to compile, and occupies 10 MB."""
OFTEN = 3
"""Images of one shape after which a network is compiled for that shape."""


class YuNet:
    """The detector. Of boxes whose intersection over union exceeds `overlap`, only one is returned."""

    def __init__(self, path: Path, *, threads: int, min_confidence: float, overlap: float) -> None:
        self._compile = partial(Network, path, threads=threads, precision="bf16")
        self._any_shape = self._compile(shape=None)
        self._of_shape: dict[tuple[int, ...], Network] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._lock = Lock()
        self._min_confidence, self._overlap = min_confidence, overlap

    def __call__(self, image: RGBImage) -> NDArray[np.float32]:
        """Return (n, 15): box as left, top, width, height; five landmarks x, y; confidence.

        The outputs are decoded as in OpenCV 5.0 (modules/objdetect/src/face_detect.cpp). As there, boxes are
        rounded before duplicates are suppressed, so that the faces are the same.
        """
        padded = _padded(image)
        rows = self._rows(self._network(padded.shape[:2])(padded), image.shape[1])
        boxes = rows[:, :4].astype(np.int32)
        kept_positions = cv2.dnn.NMSBoxes(
            boxes.tolist(), rows[:, 14].tolist(), self._min_confidence, self._overlap, top_k=CANDIDATES
        )
        return rows[np.asarray(kept_positions, np.int64).reshape(-1)]

    def _network(self, shape: tuple[int, ...]) -> Network:
        """Return the network for images of this shape: one of their own if the shape is frequent."""
        with self._lock:
            if shape not in self._of_shape and len(self._of_shape) < OWN_SHAPES:
                self._seen[shape] += 1
                if self._seen[shape] == OFTEN:
                    self._of_shape[shape] = self._compile(shape=(shape[0], shape[1]))
            return self._of_shape.get(shape, self._any_shape)

    def _rows(self, outputs: dict[str, Array], width: int) -> NDArray[np.float32]:
        padded_width = -(-width // DIVISOR) * DIVISOR
        rows_by_stride = []
        for stride in STRIDES:
            confidence = np.clip(outputs[f"cls_{stride}"].reshape(-1), 0, 1)
            confidence = np.sqrt(confidence * np.clip(outputs[f"obj_{stride}"].reshape(-1), 0, 1))
            (positions,) = np.nonzero(confidence >= self._min_confidence)
            row, column = np.divmod(positions, padded_width // stride)
            cell = np.stack([column, row], axis=1).astype(np.float32)
            box = outputs[f"bbox_{stride}"].reshape(-1, 4)[positions]
            points = outputs[f"kps_{stride}"].reshape(-1, 5, 2)[positions]
            size = np.exp(box[:, 2:]) * stride
            corner = (cell + box[:, :2]) * stride - size / 2
            landmarks = ((points + cell[:, np.newaxis]) * stride).reshape(-1, 10)
            rows_by_stride.append(np.hstack([corner, size, landmarks, confidence[positions, np.newaxis]]))
        return np.concatenate(rows_by_stride)


def _padded(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    bottom, right = -height % DIVISOR, -width % DIVISOR
    if not (bottom or right):
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT), np.uint8)
