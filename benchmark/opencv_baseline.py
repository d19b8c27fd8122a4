"""The default engine's two models, used as in OpenCV's samples."""

from __future__ import annotations

import cv2
import numpy as np

from people.engines import registry


class OpenCVBaseline:
    """Detects faces at full size with cv2.FaceDetectorYN, and embeds them with cv2.FaceRecognizerSF."""

    def __init__(self) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(registry.model_path(registry.DETECTOR)), "", (0, 0))
        self._recogniser = cv2.FaceRecognizerSF.create(str(registry.model_path(registry.RECOGNISER)), "")

    def __call__(self, data: bytes) -> list[np.ndarray]:
        """Return the vector of every face in a JPEG, each (1, 128) float32."""
        image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        _, faces = self._detector.detect(image)
        return [
            self._recogniser.feature(self._recogniser.alignCrop(image, face))
            for face in (() if faces is None else faces)
        ]
