"""The dlib engine computes dlib's vectors with OpenVINO, from dlib's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlib
import face_recognition_models
import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured

from people.engines import build_engine

LOCATIONS = ("face_recognition_model_location", "pose_predictor_five_point_model_location")
"""Functions that return the paths of the files that the engine reads."""


def some_chips() -> list[np.ndarray]:
    """Return plain chips (black, white, red, green, blue), and noise with patches of 1, 5 and 30 pixels."""
    random = np.random.default_rng(150)
    chips = [np.zeros((150, 150, 3), np.uint8), np.full((150, 150, 3), 255, np.uint8)]
    for channel in range(3):
        chips.append(np.zeros((150, 150, 3), np.uint8))
        chips[-1][:, :, channel] = 255
    for grain in (1, 5, 30):
        patches = random.integers(0, 256, (150 // grain, 150 // grain, 3), np.uint8)
        chips.append(np.ascontiguousarray(patches.repeat(grain, axis=0).repeat(grain, axis=1)))
    return chips


@pytest.mark.slow
def test_vectors_equal_those_of_dlib_s_own_network() -> None:
    original = dlib.face_recognition_model_v1(face_recognition_models.face_recognition_model_location())
    expected = [original.compute_face_descriptor(chip) for chip in some_chips()]
    np.testing.assert_allclose(build_engine("dlib").embed(some_chips()), expected, atol=1e-5)


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:1000],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    ],
    ids=["empty", "first kilobyte", "half", "last byte missing", "one byte too many", "one bit changed"],
)
def test_a_damaged_model_file_is_rejected_and_the_error_says_how_to_replace_it(
    location: str, damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "model.dat"
    damaged.write_bytes(damage(Path(getattr(face_recognition_models, location)()).read_bytes()))
    monkeypatch.setattr(face_recognition_models, location, lambda: str(damaged))
    with pytest.raises(ImproperlyConfigured, match=r"model\.dat .* --force-reinstall"):
        build_engine("dlib")


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_missing_model_file_is_reported_like_a_damaged_one(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_recognition_models, location, lambda: str(tmp_path / "model.dat"))
    with pytest.raises(ImproperlyConfigured, match=r"model\.dat .* --force-reinstall"):
        build_engine("dlib")


def test_files_that_earlier_versions_converted_are_ignored(settings: Any, tmp_path: Path) -> None:
    settings.FACEREC_MODELS_DIR = tmp_path
    (tmp_path / "dlib_face_recognition_resnet_model_v1.onnx").write_bytes(b"anything")
    (tmp_path / "converted.json").write_text("{}")
    assert build_engine("dlib").embed(some_chips()[:1]).shape == (1, 128)
