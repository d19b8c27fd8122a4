"""The default engine's two models as OpenCV's samples use them: what the benchmark compares with."""

from __future__ import annotations

import cv2
import numpy as np

from people.engines import registry


class Plain:
    """Every face of a JPEG: cv2.FaceDetectorYN at full size, cv2.FaceRecognizerSF."""

    def __init__(self) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(registry.model_path(registry.DETECTOR)), "", (0, 0))
        self._recogniser = cv2.FaceRecognizerSF.create(str(registry.model_path(registry.RECOGNISER)), "")

    def __call__(self, data: bytes) -> list[np.ndarray]:
        image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        _, faces = self._detector.detect(image)
        return [
            self._recogniser.feature(self._recogniser.alignCrop(image, face))
            for face in (() if faces is None else faces)
        ]
