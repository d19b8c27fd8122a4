"""YuNet: faces with five landmarks, the same as cv2.FaceDetectorYN's, in less than half the time."""

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
"""The network takes sides that it divides; a picture is filled up with black at its right and bottom."""
CANDIDATES = 5000
OWN_SHAPES = 4
"""Compiled for their own shape, networks take a third less time, and 10 MB and a tenth of a second once."""
OFTEN = 3


class YuNet:
    """The detector; `overlap` is the intersection over union from which two boxes are one face."""

    def __init__(self, path: Path, *, threads: int, min_confidence: float, overlap: float) -> None:
        self._compile = partial(Network, path, threads=threads, precision="bf16")
        self._any_shape = self._compile(shape=None)
        self._of_shape: dict[tuple[int, ...], Network] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._lock = Lock()
        self._min_confidence, self._overlap = min_confidence, overlap

    def __call__(self, picture: RGBImage) -> NDArray[np.float32]:
        """Return (n, 15): box as left, top, width, height; five landmarks x, y; confidence.

        Decoded as OpenCV 5.0 does it (modules/objdetect/src/face_detect.cpp), with its rounding of
        boxes in the suppression of doubles, so that the faces are the same.
        """
        filled = _filled_up(picture)
        rows = self._rows(self._network(filled.shape[:2])(filled), picture.shape[1])
        boxes = rows[:, :4].astype(np.int32)
        kept = cv2.dnn.NMSBoxes(
            boxes.tolist(), rows[:, 14].tolist(), self._min_confidence, self._overlap, top_k=CANDIDATES
        )
        return rows[np.asarray(kept, np.int64).reshape(-1)]

    def _network(self, shape: tuple[int, ...]) -> Network:
        """Return the network for images of this shape; a frequent shape gets its own."""
        with self._lock:
            if shape not in self._of_shape and len(self._of_shape) < OWN_SHAPES:
                self._seen[shape] += 1
                if self._seen[shape] == OFTEN:
                    self._of_shape[shape] = self._compile(shape=(shape[0], shape[1]))
            return self._of_shape.get(shape, self._any_shape)

    def _rows(self, said: dict[str, Array], width: int) -> NDArray[np.float32]:
        columns_of = -(-width // DIVISOR) * DIVISOR
        found = []
        for stride in STRIDES:
            chance = np.clip(said[f"cls_{stride}"].reshape(-1), 0, 1)
            chance = np.sqrt(chance * np.clip(said[f"obj_{stride}"].reshape(-1), 0, 1))
            (places,) = np.nonzero(chance >= self._min_confidence)
            row, column = np.divmod(places, columns_of // stride)
            cell = np.stack([column, row], axis=1).astype(np.float32)
            box = said[f"bbox_{stride}"].reshape(-1, 4)[places]
            points = said[f"kps_{stride}"].reshape(-1, 5, 2)[places]
            size = np.exp(box[:, 2:]) * stride
            corner = (cell + box[:, :2]) * stride - size / 2
            landmarks = ((points + cell[:, np.newaxis]) * stride).reshape(-1, 10)
            found.append(np.hstack([corner, size, landmarks, chance[places, np.newaxis]]))
        return np.concatenate(found)


def _filled_up(picture: RGBImage) -> RGBImage:
    height, width = picture.shape[:2]
    down, right = -height % DIVISOR, -width % DIVISOR
    if not (down or right):
        return picture
    return np.asarray(cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_CONSTANT), np.uint8)
