"""Turn comparison scores into decisions: thresholds and similarities. Pure functions, without Django."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPIR = 0.01
DEFAULT_FMR = 1e-4
LOOSEST_SEARCH_FMR = 1e-4
"""The highest FMR that `search_threshold` derives from an FPIR, for small collections."""
AMBIGUITY_MARGIN = 0.05
"""Cosine. If two people's scores are above the threshold and closer than this, they can't be distinguished:
retaking the same photo changes a score of the default engine by about this much."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an engine's cosines mean: the share of pairs of different people that match at each threshold.

    `points` are (FMR, cosine), with FMR falling and cosine rising, measured by `manage.py evaluate`.
    """

    engine: str
    points: tuple[tuple[float, float], ...]

    @classmethod
    def from_file(cls, path: Path) -> Calibration:
        content: dict[str, Any] = json.loads(path.read_text())
        points = sorted(((p["fmr"], p["cosine"]) for p in content["points"]), reverse=True)
        return cls(content["engine"], tuple(points))

    def cosine_at_fmr(self, fmr: float) -> float:
        """Return the threshold for `fmr`, linear in log FMR between and beyond the measured points.

        Beyond them it is an extrapolation, limited to 1: a threshold that only the same photo reaches.
        """
        logs = [-math.log10(rate) for rate, _ in self.points]
        cosines = [cosine for _, cosine in self.points]
        return min(_line(logs, cosines, -math.log10(fmr)), 1.0)

    def fmr_at_cosine(self, cosine: float) -> float:
        """Return the FMR, 0–1, at a threshold: the inverse of `cosine_at_fmr`."""
        logs = [-math.log10(rate) for rate, _ in self.points]
        cosines = [value for _, value in self.points]
        return float(min(10 ** -_line(cosines, logs, cosine), 1.0))

    def similarity(self, cosine: float) -> float:
        """Return the calibrated score, 0–100: 70 is FMR 1e-3, 80 is 1e-4, 90 is 1e-5.

        Linear between the measured points, and from the last of them up to 100 at cosine 1.
        """
        cosines, similarities = self._scale()
        return min(max(_line(cosines, similarities, cosine), 0.0), 100.0)

    def cosine_at_similarity(self, similarity: float) -> float:
        """Return the cosine for a similarity, 0–100: the inverse of `similarity`."""
        cosines, similarities = self._scale()
        return _line(similarities, cosines, similarity)

    def _scale(self) -> tuple[list[float], list[float]]:
        scale = [(cosine, 40 - 10 * math.log10(rate)) for rate, cosine in self.points]
        # only cosine 1 has similarity 100, so that the scale rises up to its end
        inner = [(cosine, similarity) for cosine, similarity in scale if similarity < 99]
        cosines = [-1.0, *(cosine for cosine, _ in inner), 1.0]
        similarities = [0.0, *(similarity for _, similarity in inner), 100.0]
        return cosines, similarities


def _line(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return y at x by piecewise linear interpolation of (xs, ys), xs rising; its ends are extrapolated."""
    right = min(max(bisect_left(xs, x), 1), len(xs) - 1)
    left = right - 1
    slope = (ys[right] - ys[left]) / (xs[right] - xs[left])
    return float(ys[left] + slope * (x - xs[left]))


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """How to choose the threshold: by one of the three values, or by none for the operation's default."""

    fpir: float | None = None
    fmr: float | None = None
    min_similarity: float | None = None

    def is_made(self) -> bool:
        return not (self.fpir is None and self.fmr is None and self.min_similarity is None)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison score is a match at `cosine` or above; the other fields express the same threshold."""

    cosine: float
    similarity: float
    fmr: float
    fpir: float | None = None


def search_threshold(calibration: Calibration, population: int, choice: ThresholdChoice) -> Threshold:
    """Return the threshold for an identification among `population` people.

    By default no more than about one in a hundred searches for a stranger returns a match:
    FPIR ≈ 1 − (1 − FMR)^N ≈ N · FMR for small rates (ISO/IEC 19795-1). So the threshold rises with the
    number of people searched. Below 100 people it is the one for LOOSEST_SEARCH_FMR, and matches of
    strangers are rarer.
    """
    searched = max(population, 1)
    if choice.fmr is None and choice.min_similarity is None:
        fpir = DEFAULT_FPIR if choice.fpir is None else choice.fpir
        fmr = min(fpir / searched, LOOSEST_SEARCH_FMR)
        return _threshold_at_fmr(calibration, fmr, fpir)
    threshold = pair_threshold(calibration, choice)
    return Threshold(
        threshold.cosine,
        threshold.similarity,
        threshold.fmr,
        -math.expm1(searched * math.log1p(-min(threshold.fmr, 0.999))),
    )


def pair_threshold(calibration: Calibration, choice: ThresholdChoice) -> Threshold:
    """Return the threshold for a verification or comparison: by FMR, 1e-4 by default."""
    if choice.min_similarity is not None:
        cosine = calibration.cosine_at_similarity(choice.min_similarity)
        return Threshold(cosine, choice.min_similarity, calibration.fmr_at_cosine(cosine))
    return _threshold_at_fmr(calibration, DEFAULT_FMR if choice.fmr is None else choice.fmr, None)


def _threshold_at_fmr(calibration: Calibration, fmr: float, fpir: float | None) -> Threshold:
    cosine = calibration.cosine_at_fmr(fmr)
    return Threshold(cosine, calibration.similarity(cosine), fmr, fpir)


def decide(cosines: Sequence[float], threshold: float) -> tuple[str, float | None]:
    """Return `match`, `ambiguous` or `no_match`, and the difference between the two highest scores.

    `cosines` contains each person's score, highest first. The difference is None without a second person.
    """
    margin = cosines[0] - cosines[1] if len(cosines) > 1 else None
    if not cosines or cosines[0] < threshold:
        return "no_match", margin
    if len(cosines) > 1 and cosines[1] >= threshold and margin is not None and margin < AMBIGUITY_MARGIN:
        return "ambiguous", margin
    return "match", margin


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, d) vectors scaled to unit length."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def mean_template(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (d,) mean of (n, d) unit templates, scaled to unit length.

    Nothing else improves accuracy as much as comparing with the mean of several photos.
    """
    # in float64, so that the result doesn't depend on the order in which photos were enrolled
    mean = templates.astype(np.float64).mean(axis=0, keepdims=True)
    unit_mean: NDArray[np.float32] = unit(mean.astype(np.float32))[0]
    return unit_mean
