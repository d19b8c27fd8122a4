from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from people.faces import Box, DetectedFace
from people.quality import LEVELS, Measures, judge, measure, visible_share

GOOD = Measures(
    size=200,
    sharpness=0.8,
    brightness=0.5,
    contrast=0.4,
    visible=1.0,
    confidence=0.95,
    yaw=2,
    roll=0,
    pitch=3,
)
FRONTAL = {
    "left_eye": (40.0, 50.0), "right_eye": (72.0, 50.0), "nose": (56.0, 71.0),
    "mouth_left": (43.0, 88.0), "mouth_right": (69.0, 88.0),
}  # fmt: skip


def _face(**landmarks: tuple[float, float]) -> DetectedFace:
    return DetectedFace(Box(10, 10, 92, 100), {**FRONTAL, **landmarks}, 0.9)


def _chip(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (112, 112, 3), dtype=np.uint8)


def test_a_good_face_is_accepted_at_every_level() -> None:
    assert all(judge(GOOD, level) == [] for level in LEVELS)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("SMALL_BOUNDING_BOX", {"size": 31}),
        ("EXTREME_POSE", {"yaw": -80}),
        ("EXTREME_POSE", {"pitch": 60}),
        ("LOW_SHARPNESS", {"sharpness": 0.01}),
        ("LOW_BRIGHTNESS", {"brightness": 0.02}),
        ("HIGH_BRIGHTNESS", {"brightness": 0.99}),
        ("LOW_FACE_QUALITY", {"contrast": 0.01}),
        ("LOW_FACE_QUALITY", {"visible": 0.3}),
        ("LOW_CONFIDENCE", {"confidence": 0.3}),
    ],
)
def test_each_failed_check_has_its_code_the_measured_value_and_the_limit(
    code: str, change: dict[str, float]
) -> None:
    (reason,) = judge(replace(GOOD, **change), "auto")
    assert reason.code == code
    assert reason.measured == abs(next(iter(change.values())))
    assert reason.required != reason.measured
    assert reason.hint.endswith(".")
    assert judge(replace(GOOD, **change), "none") == []


def test_a_stricter_level_accepts_no_more_than_a_looser_one() -> None:
    draw = np.random.default_rng(5).uniform
    for _ in range(300):
        measures = Measures(
            size=draw(0, 200), sharpness=draw(0, 1), brightness=draw(0, 1),
            contrast=draw(0, 0.6), visible=draw(0.3, 1), confidence=draw(0.5, 1),
            yaw=draw(-80, 80), roll=0, pitch=draw(-60, 60),
        )  # fmt: skip
        is_rejected = [bool(judge(measures, level)) for level in ("low", "auto", "medium", "high")]
        assert is_rejected == sorted(is_rejected)


def test_a_frontal_face_has_no_yaw_no_roll_and_little_pitch() -> None:
    measures = measure(_face(), _chip(), 1.0)
    assert abs(measures.yaw) < 1
    assert abs(measures.roll) < 1
    assert measures.pitch is not None
    assert abs(measures.pitch) < 5


def test_a_face_whose_nose_is_near_one_eye_is_turned_to_that_side() -> None:
    assert measure(_face(nose=(74.0, 70.0)), _chip(), 1.0).yaw > 40
    assert measure(_face(nose=(38.0, 70.0)), _chip(), 1.0).yaw < -40


def test_a_tilted_head_has_roll_and_no_yaw() -> None:
    angle = np.radians(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilted = {name: tuple(rotation @ np.array(point)) for name, point in FRONTAL.items()}
    measures = measure(_face(**tilted), _chip(), 1.0)
    assert measures.roll == pytest.approx(30)
    assert abs(measures.yaw) < 1


def test_a_blurred_chip_has_a_lower_sharpness_than_a_sharp_one() -> None:
    sharp = _chip()
    blurred = np.repeat(np.repeat(sharp[::8, ::8], 8, axis=0), 8, axis=1) // 4 + 96
    assert measure(_face(), blurred.astype(np.uint8), 1.0).sharpness < measure(_face(), sharp, 1.0).sharpness


def test_a_box_that_extends_beyond_the_photo_is_only_partly_visible() -> None:
    assert visible_share(Box(-50, 0, 100, 100), 400, 400) == pytest.approx(0.5)
    assert visible_share(Box(10, 10, 100, 100), 400, 400) == 1.0
