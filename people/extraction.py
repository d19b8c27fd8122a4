"""From a photo to faces and templates, with any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from people.decision import unit
from people.engines.base import Box, Chip, DetectedFace, FaceEngine, Point, RGBImage, Vectors
from people.errors import FaceNotThere, NoFaceFound, SeveralFacesFound
from people.quality import Measures, measure, visible_share

CLOSE_UP_MARGIN = 0.5
"""Of the photo's shorter side, added on each side when a face fills the frame: detectors learned
faces that have surroundings."""
CLEARLY_MORE = 0.02
"""Confidence by which a turned view must be better than the photo as it is."""
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

    When nothing is found the photo is tried with a margin round it, and turned by 90°, 270° and
    180°. It is also turned when the detector was in doubt: a face that lies on its side or head is
    often found all the same, with eyes and mouth confused, and then has no likeness to itself.
    """
    best = _search(_View(image, lambda p: p), engine)
    if not best.faces:
        best = _search(_padded(image), engine)
    if best.confidence < engine.sure_confidence or not best.faces:
        for view in _turned(image):
            turned = _search(view, engine)
            if turned.confidence > best.confidence + CLEARLY_MORE:
                best = turned
    height, width = image.shape[:2]
    found = []
    for face in best.faces:
        chip = engine.align(best.view.image, face)
        in_photo = _moved(face, best.view.to_photo)
        # Measured as found: the pose is the head's, however the photo lies.
        measures = measure(face, chip, visible_share(in_photo.box, width, height))
        found.append(ExtractedFace(in_photo, chip, measures))
    return found


def references(faces: Sequence[ExtractedFace], engine: FaceEngine) -> Vectors:
    """Return what is kept of each face and compared with, (n, d) float32 of unit length."""
    return unit(engine.embed([one.chip for one in faces], thoroughly=True))


def probes(faces: Sequence[ExtractedFace], engine: FaceEngine) -> Vectors:
    """Return what is searched for of each face, (n, d) float32 of unit length."""
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


@dataclass(frozen=True, slots=True)
class _View:
    """The photo as searched, and the way from its pixels to the photo's."""

    image: RGBImage
    to_photo: _Move


@dataclass(frozen=True, slots=True)
class _Found:
    view: _View
    faces: list[DetectedFace]

    @property
    def confidence(self) -> float:
        return max((face.confidence for face in self.faces), default=0.0)


def _search(view: _View, engine: FaceEngine) -> _Found:
    return _Found(view, engine.detect(view.image))


def _padded(image: RGBImage) -> _View:
    margin = round(CLOSE_UP_MARGIN * min(image.shape[:2]))
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    return _View(padded, lambda p: (p[0] - margin, p[1] - margin))


def _turned(image: RGBImage) -> Iterator[_View]:
    height, width = image.shape[:2]
    back: dict[int, _Move] = {
        1: lambda p: (width - p[1], p[0]),  # np.rot90 turns counter-clockwise
        3: lambda p: (p[1], height - p[0]),
        2: lambda p: (width - p[0], height - p[1]),
    }
    for quarter_turns, to_photo in back.items():
        yield _View(np.ascontiguousarray(np.rot90(image, quarter_turns)), to_photo)


def _moved(face: DetectedFace, to_photo: _Move) -> DetectedFace:
    x1, y1 = to_photo((face.box.left, face.box.top))
    x2, y2 = to_photo((face.box.left + face.box.width, face.box.top + face.box.height))
    box = Box(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))
    return face.moved(box, {name: to_photo(point) for name, point in face.landmarks.items()})
