"""Detection and recognition of faces in whole photos, with the real engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from people import photos
from people.engines import get_engine
from people.extraction import Purpose, choose, extract, vectors
from people.faces import Box, RGBImage

pytestmark = pytest.mark.usefixtures("real_engine")


def _cosine(*images: RGBImage) -> float:
    """Return the cosine between the largest faces of two photos."""
    engine = get_engine()
    first, second = (vectors(extract(image, engine)[:1], engine, Purpose.PROBE)[0] for image in images)
    return float(first @ second)


@pytest.fixture
def obama(samples: Path) -> RGBImage:
    return photos.decode((samples / "obama.jpg").read_bytes())


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_the_face_in_a_rotated_photo_is_detected_and_recognised(obama: RGBImage, quarter_turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(obama, quarter_turns))
    assert _cosine(obama, turned) > 0.9


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_box_and_landmarks_are_in_the_coordinates_of_the_photo_as_sent(
    obama: RGBImage, quarter_turns: int
) -> None:
    engine = get_engine()
    upright = extract(obama, engine)[0].detected.box
    height, width = obama.shape[:2]
    turned = np.ascontiguousarray(np.rot90(obama, quarter_turns))
    face = extract(turned, engine)[0].detected
    left, top, right, bottom = (
        upright.left,
        upright.top,
        upright.left + upright.width,
        upright.top + upright.height,
    )
    expected = {
        0: upright,
        1: Box(top, width - right, upright.height, upright.width),
        2: Box(width - right, height - bottom, upright.width, upright.height),
        3: Box(height - bottom, left, upright.height, upright.width),
    }[quarter_turns]
    assert face.box.overlap(expected) > 0.7
    for x, y in face.landmarks.values():
        assert face.box.left <= x <= face.box.left + face.box.width
        assert face.box.top <= y <= face.box.top + face.box.height


@pytest.mark.parametrize("share", [1.0, 0.85])
def test_a_face_that_fills_the_frame_is_detected_and_recognised(obama: RGBImage, share: float) -> None:
    box = extract(obama, get_engine())[0].detected.box
    cut_w, cut_h = box.width * (1 - share) / 2, box.height * (1 - share) / 2
    rows = slice(max(round(box.top + cut_h), 0), round(box.top + box.height - cut_h))
    columns = slice(max(round(box.left + cut_w), 0), round(box.left + box.width - cut_w))
    close_up = np.ascontiguousarray(obama[rows, columns])
    assert _cosine(obama, close_up) > 0.6


def test_every_face_in_a_group_is_detected_and_returned_largest_first(samples: Path, obama: RGBImage) -> None:
    astronaut = photos.decode((samples / "astronaut.png").read_bytes())
    group = np.zeros((1200, 1500, 3), dtype=np.uint8)
    group[:1137, :910] = obama[:1137, :910]
    group[:512, 950:1462] = astronaut
    engine = get_engine()
    faces = extract(group, engine)
    assert len(faces) == 2
    assert faces[0].detected.box.area > faces[1].detected.box.area
    small = faces[1].detected.box
    assert small.left > 950
    assert choose(faces, [small.left, small.top, small.width, small.height]) is faces[1]


def test_no_face_is_detected_in_a_photo_without_faces() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    blank = np.full((480, 640, 3), 200, dtype=np.uint8)
    assert extract(noise, get_engine()) == []
    assert extract(blank, get_engine()) == []


def test_photos_of_the_same_person_have_a_higher_score_than_photos_of_different_people(
    samples: Path, obama: RGBImage
) -> None:
    obama2, biden = (photos.decode((samples / name).read_bytes()) for name in ("obama2.jpg", "biden.jpg"))
    assert _cosine(obama, obama2) > 0.5
    assert _cosine(obama, biden) < 0.3
