"""The entry point for every photo: from bytes to faces, quality checks and templates, with any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from people import photos
from people.decision import unit
from people.engines import engine_id
from people.engines.base import FaceEngine
from people.errors import FaceNotThere, NoFaceFound, PoorQuality, SeveralFacesFound
from people.faces import Box, Chip, DetectedFace, Point, RGBImage, Vectors
from people.quality import Measures, Reason, judge, measure, visible_share

MAX_FACES = 100
CLOSE_UP_MARGIN = 0.5
"""Of the photo's shorter side, added on each side when a face fills the frame: detectors learned
faces that have surroundings."""
CLEARLY_MORE = 0.02
"""Confidence by which a rotated view must be better than the photo as it is."""
SAME_FACE_OVERLAP = 0.3
"""Intersection over union from which a chosen box and a detected one mean the same face."""


_Face = TypeVar("_Face", bound="ExtractedFace")


class Purpose(Enum):
    """What a photo's faces are for, which decides how their vectors are made."""

    DETECTION = "detection"
    """No vectors."""
    PROBE = "probe"
    """Vectors to search or compare with the enrolled ones."""
    REFERENCE = "reference"
    """Vectors to store, or to compare probes with; the engine may spend twice the time on each."""


@dataclass(frozen=True, slots=True)
class ExtractedFace:
    """One face of a photo."""

    detected: DetectedFace
    """Box and landmarks in pixels of the photo."""
    relative: Box
    """The box as shares of the photo, 0–1."""
    chip: Chip
    measures: Measures
    reasons: Sequence[Reason] = ()
    """Why the face is skipped; empty if it isn't."""

    @property
    def verdict(self) -> str:
        return "poor" if self.reasons else "good"

    def extended_to(self, kind: type[_Face], **more: Any) -> _Face:
        """Return this face as a `kind` of ExtractedFace that has more fields."""
        return kind(**{field.name: getattr(self, field.name) for field in fields(ExtractedFace)}, **more)


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """What a photo shows. Sizes are in pixels of the upright photo as decoded."""

    engine: str
    width: int
    height: int
    faces: list[ExtractedFace]
    """Largest first."""
    skipped: list[ExtractedFace]
    """Faces that fail a quality check or exceed `max_faces`, each with its reasons."""
    vectors: Vectors
    """(len(faces), d) float32 of unit length; (0, d) for Purpose.DETECTION."""


def from_photo(
    data: bytes,
    engine: FaceEngine,
    *,
    purpose: Purpose,
    quality_level: str = "none",
    face: str | Sequence[float] = "all",
    max_faces: int = MAX_FACES,
) -> PhotoFaces:
    """Decode a photo, detect its faces, check their quality, and compute their vectors.

    `face` is `all`, `only`, `largest`, or a box (left, top, width, height) in pixels of the upright photo.
    With `all`, faces below `quality_level` and those beyond the `max_faces` largest are skipped. With any
    other choice the photo must show that face: raises NoFaceFound, SeveralFacesFound or FaceNotThere, and
    PoorQuality with its reasons if the face is below the level.
    Raises PhotoRejected, of which these are kinds, also if the bytes aren't a usable photo.
    """
    image = photos.decode(data)
    found = extract(image, engine)
    if face == "all":
        faces, skipped = _good_enough(found, quality_level, max_faces)
    else:
        faces, skipped = [_chosen(found, face, quality_level)], []
    height, width = image.shape[:2]
    return PhotoFaces(engine_id(engine), width, height, faces, skipped, vectors(faces, engine, purpose))


def _good_enough(
    found: Sequence[ExtractedFace], quality_level: str, max_faces: int
) -> tuple[list[ExtractedFace], list[ExtractedFace]]:
    kept: list[ExtractedFace] = []
    skipped: list[ExtractedFace] = []
    for face in found:
        reasons = judge(face.measures, quality_level)
        if not reasons and len(kept) == max_faces:
            hint = "Raise max_faces to include smaller faces."
            reasons = [Reason("EXCEEDS_MAX_FACES", len(kept) + 1, max_faces, hint)]
        if reasons:
            skipped.append(replace(face, reasons=reasons))
        else:
            kept.append(face)
    return kept, skipped


def _chosen(found: Sequence[ExtractedFace], face: str | Sequence[float], quality_level: str) -> ExtractedFace:
    chosen = choose(found, face)
    if reasons := judge(chosen.measures, quality_level):
        raise PoorQuality(
            extra={
                "face": box_json(chosen.detected.box),
                "reasons": [reason.as_json() for reason in reasons],
            }
        )
    return chosen


def vectors(faces: Sequence[ExtractedFace], engine: FaceEngine, purpose: Purpose) -> Vectors:
    """Return the faces' vectors, (n, d) float32 of unit length; none for Purpose.DETECTION."""
    if purpose is Purpose.DETECTION:
        return np.empty((0, engine.dimension), np.float32)
    return unit(engine.embed([face.chip for face in faces], thoroughly=purpose is Purpose.REFERENCE))


def choose(faces: Sequence[ExtractedFace], choice: str | Sequence[float]) -> ExtractedFace:
    """Return the chosen face: the `only` one, the `largest`, or the one at a box in pixels.

    Raises NoFaceFound, SeveralFacesFound (with all boxes) or FaceNotThere.
    """
    if not faces:
        raise NoFaceFound
    if choice == "largest":
        return faces[0]
    if choice == "only":
        if len(faces) > 1:
            raise SeveralFacesFound(extra={"faces": [box_json(face.detected.box) for face in faces]})
        return faces[0]
    wanted = Box(*(float(number) for number in choice))
    nearest = max(faces, key=lambda face: face.detected.box.overlap(wanted))
    if nearest.detected.box.overlap(wanted) < SAME_FACE_OVERLAP:
        raise FaceNotThere(extra={"faces": [box_json(face.detected.box) for face in faces]})
    return nearest


def box_json(box: Box) -> dict[str, int]:
    """Return the box in whole pixels."""
    return {
        "left": round(box.left),
        "top": round(box.top),
        "width": round(box.width),
        "height": round(box.height),
    }


def extract(image: RGBImage, engine: FaceEngine) -> list[ExtractedFace]:
    """Return every face of `image`, largest first.

    When nothing is found, the photo is searched again with a margin around it, and rotated by 90°, 270°
    and 180°. It is also rotated when the detector was in doubt: a face that lies on its side or upside
    down is often found anyway, with eyes and mouth confused, and its vector is then useless.
    """
    best = _search(_View(image, lambda p: p), engine)
    if not best.faces:
        best = _search(_padded(image), engine)
    if best.confidence < engine.sure_confidence or not best.faces:
        for view in _rotated(image):
            rotated = _search(view, engine)
            if rotated.confidence > best.confidence + CLEARLY_MORE:
                best = rotated
    height, width = image.shape[:2]
    faces = []
    for face in best.faces:
        chip = engine.align(best.view.image, face)
        in_photo = _moved(face, best.view.to_photo)
        # Measured as found: the pose is the head's, however the photo is rotated.
        measures = measure(face, chip, visible_share(in_photo.box, width, height))
        faces.append(ExtractedFace(in_photo, in_photo.box.relative_to(width, height), chip, measures))
    return faces


_Move = Callable[[Point], Point]


@dataclass(frozen=True, slots=True)
class _View:
    """The photo as searched, and the mapping from its pixels to the photo's."""

    image: RGBImage
    to_photo: _Move


@dataclass(frozen=True, slots=True)
class _ViewFaces:
    view: _View
    faces: list[DetectedFace]

    @property
    def confidence(self) -> float:
        return max((face.confidence for face in self.faces), default=0.0)


def _search(view: _View, engine: FaceEngine) -> _ViewFaces:
    return _ViewFaces(view, engine.detect(view.image))


def _padded(image: RGBImage) -> _View:
    margin = round(CLOSE_UP_MARGIN * min(image.shape[:2]))
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    return _View(padded, lambda p: (p[0] - margin, p[1] - margin))


def _rotated(image: RGBImage) -> Iterator[_View]:
    height, width = image.shape[:2]
    back: dict[int, _Move] = {
        1: lambda p: (width - p[1], p[0]),  # np.rot90 rotates counter-clockwise
        3: lambda p: (p[1], height - p[0]),
        2: lambda p: (width - p[0], height - p[1]),
    }
    for quarters, to_photo in back.items():
        yield _View(np.ascontiguousarray(np.rot90(image, quarters)), to_photo)


def _moved(face: DetectedFace, to_photo: _Move) -> DetectedFace:
    x1, y1 = to_photo((face.box.left, face.box.top))
    x2, y2 = to_photo((face.box.left + face.box.width, face.box.top + face.box.height))
    box = Box(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))
    return face.moved(box, {name: to_photo(point) for name, point in face.landmarks.items()})
