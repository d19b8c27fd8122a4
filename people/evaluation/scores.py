"""Verification: the comparison scores of all pairs of photos, and thresholds derived from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from people.evaluation.outcomes import Floats, Labels
from people.faces import Vectors

CALIBRATION_FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 3e-6)
LEAST_ABOVE = 10
"""How many impostor pairs, or strangers, must score above a threshold for its FMR or FPIR to be reported.
With ten, the rate's standard error is a third of the rate."""

_BINS = 200_000
"""Bins of the impostor histogram, over cosines from -1 to 1. Each is 1e-5 wide."""
_BLOCK = 1024
"""Photos compared with all others in one step: 80 MB of scores for 20,000 photos."""
_CURVE_POINTS = 2000
"""The greatest number of points of an error curve."""


@dataclass(frozen=True, slots=True)
class PairScores:
    """The scores of all pairs of photos: each genuine pair's, and a fine histogram of the impostor pairs'.

    A pair matches at a threshold if its score is equal or higher, as in `decision.decide`.
    """

    genuine: Floats
    """(g,) the cosine of each pair that shows the same person."""
    genuine_person: Labels
    """(g,) the person of each genuine pair."""
    impostor: Labels
    """(200000,) how many pairs of different people have a cosine in each bin of [-1, 1]."""

    @property
    def impostor_pairs(self) -> int:
        return int(self.impostor.sum())

    def threshold(self, fmr: float) -> float | None:
        """Return the lowest bin edge, a cosine, that at most `fmr` of the impostor pairs reach.

        Returns None if fewer than LEAST_ABOVE pairs reach it.
        """
        reaching = self._reaching()
        allowed = fmr * self.impostor_pairs + 1e-9  # 0.29 * 100 is a little less than 29
        edge = int(np.argmax(reaching <= allowed))
        return None if reaching[edge] < LEAST_ABOVE else _edge(edge)

    def tar(self, threshold: float) -> float:
        """Return the share of the genuine pairs that reach `threshold`: 1 − FNMR."""
        return float((self.genuine >= threshold).mean())

    def det(self) -> tuple[Floats, Floats]:
        """Return the detection error trade-off: (FMR, FNMR) at up to 2,000 thresholds, with falling FMR."""
        reaching = self._reaching()
        steps = np.flatnonzero(np.diff(reaching, prepend=-1))
        steps = steps[reaching[steps] >= LEAST_ABOVE]
        if len(steps) == 0 or len(self.genuine) == 0:
            return np.empty(0), np.empty(0)
        # evenly spaced in log FMR, because the plot's axis is logarithmic
        spaced_counts = np.geomspace(reaching[steps[0]], reaching[steps[-1]], _CURVE_POINTS)
        positions = np.searchsorted(-reaching[steps], -spaced_counts).clip(max=len(steps) - 1)
        edges = steps[np.unique(positions)]
        fnmr = np.searchsorted(np.sort(self.genuine), edges * 2 / _BINS - 1) / len(self.genuine)
        return reaching[edges] / self.impostor_pairs, fnmr

    def _reaching(self) -> Labels:
        """Return (200001,): how many impostor pairs reach the lower edge of each bin; 0 at cosine 1."""
        counts: Labels = np.append(np.cumsum(self.impostor[::-1])[::-1], 0)
        return counts


def pair_scores(references: Vectors, probes: Vectors, persons: Labels) -> PairScores:
    """Compare the reference of each photo with the probe of every later photo.

    `references` and `probes` are (n, d) unit vectors; `persons` (n,) is the person each photo shows.
    """
    impostor = np.zeros(_BINS, dtype=np.int64)
    genuine, genuine_person = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for start, cosines in cosine_blocks(references, probes):
        rows = np.arange(start, start + len(cosines))
        later = rows[:, None] < np.arange(len(probes))  # each pair once
        same_person = persons[rows][:, None] == persons
        is_genuine = later & same_person
        genuine.append(cosines[is_genuine].astype(np.float64))
        genuine_person.append(persons[rows[np.nonzero(is_genuine)[0]]])
        bins = ((cosines[later & ~same_person].astype(np.float64) + 1) * (_BINS / 2)).astype(np.int64)
        impostor += np.bincount(bins.clip(0, _BINS - 1), minlength=_BINS)
    return PairScores(np.concatenate(genuine), np.concatenate(genuine_person), impostor)


def calibration_points(scores: PairScores) -> list[tuple[float, float]]:
    """Return (FMR, cosine) for those CALIBRATION_FMRS that were measured, with strictly rising cosines."""
    points: list[tuple[float, float]] = []
    for fmr in CALIBRATION_FMRS:
        cosine = scores.threshold(fmr)
        if cosine is not None and (not points or cosine > points[-1][1]):
            points.append((fmr, cosine))
    return points


def cosine_blocks(rows: Vectors, columns: Vectors) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Compare (n, d) unit `rows` with (m, d) unit `columns`, 1,024 rows at a time.

    Yields each block's first row and its (≤ 1024, m) cosines.
    """
    for start in range(0, len(rows), _BLOCK):
        yield start, rows[start : start + _BLOCK] @ columns.T


def _edge(index: int) -> float:
    """Return the lower edge of a bin of the impostor histogram, a cosine."""
    return round(index * 2 / _BINS - 1, 5)
