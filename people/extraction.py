"""From a photo to faces and templates, with any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from people.decision import unit
from people.engines.base import Box, Chip, DetectedFace, FaceEngine, Point, RGBImage, Vectors
from people.errors import FaceNotThere, NoFaceFound, SeveralFacesFound
from people.quality import Measures, measure

CLOSE_UP_MARGIN = 0.5
"""Of the photo's shorter side, added on each side when a face fills the frame: detectors learned
faces that have surroundings."""
SAME_FACE_OVERLAP = 0.3
"""Intersection over union from which a chosen box and a detected one mean the same face."""


@dataclass(frozen=True, slots=True)
class ExtractedFace:
    """A face with box and landmarks in pixels of the photo, its aligned chip, and its measures."""

    face: DetectedFace
    chip: Chip
    measures: Measures


def extract(image: RGBImage, engine: FaceEngine) -> list[ExtractedFace]:
    """Return every face of `image`, largest first.

    Only when nothing is found is the photo tried again: with a margin round it, and turned by
    90°, 270° and 180°.
    """
    height, width = image.shape[:2]
    for view, to_photo in _views(image):
        faces = engine.detect(view)
        if faces:
            found = []
            for face in faces:
                chip = engine.align(view, face)
                moved = _moved(face, to_photo)
                # the pose is the face's own, whichever way the photo lay
                measures = measure(face, chip, view.shape[1], view.shape[0])
                found.append(ExtractedFace(moved, chip, measures))
            return sorted(found, key=lambda one: -one.face.box.area)
    return []


def templates(faces: Sequence[ExtractedFace], engine: FaceEngine) -> Vectors:
    """Return one template a face, (n, d) float32 of unit length."""
    if not faces:
        return np.empty((0, engine.dimension), dtype=np.float32)
    return unit(engine.embed([one.chip for one in faces]))


def choose(faces: Sequence[ExtractedFace], choice: str | Sequence[float]) -> ExtractedFace:
    """Return the face that is meant: the `only` one, the `largest`, or the one at a box in pixels.

    Raises NoFaceFound, SeveralFacesFound (with all boxes) or FaceNotThere.
    """
    if not faces:
        raise NoFaceFound
    if choice == "largest":
        return faces[0]
    if choice == "only":
        if len(faces) > 1:
            raise SeveralFacesFound(extra={"faces": [box_json(one.face.box) for one in faces]})
        return faces[0]
    wanted = Box(*(float(number) for number in choice))
    nearest = max(faces, key=lambda one: one.face.box.overlap(wanted))
    if nearest.face.box.overlap(wanted) < SAME_FACE_OVERLAP:
        raise FaceNotThere(extra={"faces": [box_json(one.face.box) for one in faces]})
    return nearest


def box_json(box: Box) -> dict[str, int]:
    """Return the box in whole pixels."""
    return {
        "left": round(box.left),
        "top": round(box.top),
        "width": round(box.width),
        "height": round(box.height),
    }


_Move = Callable[[Point], Point]


def _views(image: RGBImage) -> Iterator[tuple[RGBImage, _Move]]:
    height, width = image.shape[:2]
    yield image, lambda p: p
    margin = round(CLOSE_UP_MARGIN * min(height, width))
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    yield padded, lambda p: (p[0] - margin, p[1] - margin)
    # np.rot90 turns counter-clockwise: a view's (x, y) came from the photo's …
    yield np.ascontiguousarray(np.rot90(image, 1)), lambda p: (width - p[1], p[0])
    yield np.ascontiguousarray(np.rot90(image, 3)), lambda p: (p[1], height - p[0])
    yield np.ascontiguousarray(np.rot90(image, 2)), lambda p: (width - p[0], height - p[1])


def _moved(face: DetectedFace, to_photo: _Move) -> DetectedFace:
    x1, y1 = to_photo((face.box.left, face.box.top))
    x2, y2 = to_photo((face.box.left + face.box.width, face.box.top + face.box.height))
    box = Box(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))
    return face.moved(box, {name: to_photo(point) for name, point in face.landmarks.items()})
