"""Quality checks: measure a face and return the reasons to reject it. Pure functions, without Django.

The reasons use Amazon Rekognition's names, which clients may already know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from people.faces import Box, Chip, DetectedFace, Point


@dataclass(frozen=True, slots=True)
class Measures:
    """The measurements of one face."""

    size: float
    """The shorter side of the box, in pixels of the decoded photo."""
    sharpness: float
    """0–1; from the variance of the aligned face's Laplacian."""
    brightness: float
    """0–1; mean luma of the aligned face."""
    contrast: float
    """0–1; from the standard deviation of the aligned face's luma."""
    visible: float
    """0–1; the share of the box that is inside the photo."""
    confidence: float
    """0–1; as reported by the detector."""
    yaw: float
    """Degrees, estimated from eyes and nose; positive if the nose points to the viewer's right."""
    roll: float
    """Degrees; never a reason to reject, because the aligner turns the face upright."""
    pitch: float | None
    """Degrees, estimated from eyes, nose and mouth; positive if the face looks down; None without a mouth."""

    def as_json(self) -> dict[str, float | None]:
        return {name: None if value is None else round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a face is rejected: the measured value, the limit, and what to do about it."""

    code: str
    measured: float
    required: float
    hint: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """The worst measurements that a level accepts, in the units of `Measures`; brightness is a range."""

    size: float
    sharpness: float
    brightness: tuple[float, float]
    contrast: float
    visible: float
    confidence: float
    yaw: float
    pitch: float


LEVELS = ("none", "auto", "low", "medium", "high")
_LIMITS: dict[str, Limits] = {
    "low": Limits(24, 0.02, (0.05, 0.97), 0.04, 0.5, 0.6, 70, 50),
    "auto": Limits(40, 0.08, (0.08, 0.95), 0.08, 0.7, 0.7, 55, 40),
    "medium": Limits(64, 0.20, (0.12, 0.92), 0.12, 0.8, 0.8, 40, 30),
    "high": Limits(112, 0.35, (0.18, 0.88), 0.16, 0.95, 0.85, 25, 22),
}


def visible_share(box: Box, width: int, height: int) -> float:
    """Return the share of `box`, 0–1, that is inside a photo of `width` × `height` pixels."""
    across = min(box.left + box.width, width) - max(box.left, 0.0)
    down = min(box.top + box.height, height) - max(box.top, 0.0)
    return max(across, 0.0) * max(down, 0.0) / box.area if box.area else 0.0


def measure(face: DetectedFace, chip: Chip, visible: float) -> Measures:
    """Measure `face`, given its aligned chip and the share of its box that is visible, 0–1."""
    luma = chip.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    step = max(luma.shape[0] // 112, 1)  # makes the values of engines with larger chips comparable
    luma = luma[::step, ::step]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    variance = float(laplacian.var())
    box = face.box
    yaw, pitch, roll = _pose(face.landmarks)
    return Measures(
        size=min(box.width, box.height),
        sharpness=variance / (variance + 200.0),
        brightness=float(luma.mean()) / 255,
        contrast=min(float(luma.std()) / 127.5, 1.0),
        visible=visible,
        confidence=face.confidence,
        yaw=yaw,
        roll=roll,
        pitch=pitch,
    )


def _pose(landmarks: Mapping[str, Point]) -> tuple[float, float | None, float]:
    """Estimate yaw, pitch and roll in degrees.

    Assumes that in an upright frontal face the nose tip is midway between the eyes, protrudes from their
    plane by about half their distance, and is about 0.55 of the way from the eyes to the mouth.
    """
    left, right, nose = (np.array(landmarks[name]) for name in ("left_eye", "right_eye", "nose"))
    across = right - left
    distance = float(np.hypot(*across)) or 1.0
    roll = math.degrees(math.atan2(across[1], across[0]))
    axis = across / distance
    down = np.array([-axis[1], axis[0]])
    middle = (left + right) / 2
    yaw = math.degrees(math.atan(2 * float((nose - middle) @ axis) / distance))
    if "mouth_left" not in landmarks:
        return yaw, None, roll
    mouth = (np.array(landmarks["mouth_left"]) + np.array(landmarks["mouth_right"])) / 2
    eyes_to_mouth = float((mouth - middle) @ down)
    if eyes_to_mouth <= 0:
        return yaw, 90.0, roll
    share = float((nose - middle) @ down) / eyes_to_mouth
    return yaw, math.degrees(math.atan(2 * (share - 0.55))), roll


def judge(measures: Measures, level: str) -> list[Reason]:
    """Return the reasons to reject the face at `level`, in a fixed order; empty if it passes."""
    if level == "none":
        return []
    limits = _LIMITS[level]
    darkest, brightest = limits.brightness
    m = measures
    rejections = [
        (m.size < limits.size, "SMALL_BOUNDING_BOX", m.size, limits.size,
         "Move closer, or send a photo with a higher resolution."),
        (abs(m.yaw) > limits.yaw, "EXTREME_POSE", abs(m.yaw), limits.yaw,
         "Turn the face towards the camera."),
        (m.pitch is not None and abs(m.pitch) > limits.pitch, "EXTREME_POSE", abs(m.pitch or 0), limits.pitch,
         "Hold the camera at eye level."),
        (m.sharpness < limits.sharpness, "LOW_SHARPNESS", m.sharpness, limits.sharpness,
         "Hold still and focus; avoid blur and heavy compression."),
        (m.brightness < darkest, "LOW_BRIGHTNESS", m.brightness, darkest, "Use more light."),
        (m.brightness > brightest, "HIGH_BRIGHTNESS", m.brightness, brightest, "Use less light."),
        (m.contrast < limits.contrast, "LOW_FACE_QUALITY", m.contrast, limits.contrast,
         "Light the face evenly; the photo has very little contrast."),
        (m.visible < limits.visible, "LOW_FACE_QUALITY", m.visible, limits.visible,
         "Show the whole face; part of it is outside the photo."),
        (m.confidence < limits.confidence, "LOW_CONFIDENCE", m.confidence, limits.confidence,
         "Uncover the face: no mask, hand or hair in front of it."),
    ]  # fmt: skip
    return [
        Reason(code, round(measured, 3), required, hint)
        for applies, code, measured, required, hint in rejections
        if applies
    ]
