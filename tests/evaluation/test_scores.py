from __future__ import annotations

import numpy as np
import pytest

from people.evaluation import scores
from people.evaluation.scores import calibration_points, pair_scores
from tests.evaluation.samples import MANY, outcomes_of, pairs_of


def test_at_most_the_given_share_of_impostors_reaches_a_threshold() -> None:
    # 100 impostors, 0.001 to 0.100: at FMR 0.2, twenty may match, the lowest of them 0.081
    pairs = pairs_of([0.05, 0.0805, 0.09, 0.5], [n / 1000 + 5e-6 for n in range(1, 101)])
    threshold = pairs.threshold(0.2)
    assert threshold is not None
    assert 0.080 < threshold <= 0.08101
    assert pairs.tar(threshold) == 0.75 if threshold <= 0.0805 else 0.5


def test_there_is_no_threshold_if_fewer_than_ten_impostors_reach_it() -> None:
    pairs = pairs_of([0.5], [n / 1000 for n in range(1, 101)])
    assert pairs.threshold(0.1) is not None
    assert pairs.threshold(0.09) is None


def test_pairs_computed_in_blocks_equal_those_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "_BLOCK", 7)
    outcomes = outcomes_of(MANY)
    pairs = pair_scores(outcomes.references, outcomes.probes, outcomes.persons)
    genuine: list[float] = []
    impostor: list[float] = []
    for first in range(len(MANY)):
        for second in range(first + 1, len(MANY)):
            cosine = float(outcomes.references[first] @ outcomes.probes[second])
            (genuine if MANY[first] == MANY[second] else impostor).append(cosine)
    assert np.sort(pairs.genuine) == pytest.approx(np.sort(genuine), abs=1e-6)
    assert pairs.impostor_pairs == len(impostor)
    for fmr in (0.1, 0.01):
        threshold = pairs.threshold(fmr)
        assert threshold is not None
        exact = np.sort(impostor)[::-1][int(fmr * len(impostor))]
        assert threshold == pytest.approx(exact, abs=0.003)
        assert (np.array(impostor) >= threshold + 2e-6).mean() <= fmr
        assert pairs.tar(threshold) == pytest.approx(np.mean(np.array(genuine) >= threshold))


def test_calibration_points_rise_and_end_at_the_smallest_fmr_that_can_be_measured() -> None:
    points = calibration_points(pairs_of([], [n / 10_001 for n in range(10_000)]))
    assert [fmr for fmr, _ in points] == [0.1, 0.01, 0.001]
    assert [round(cosine, 2) for _, cosine in points] == [0.9, 0.99, 1.0]
    assert points == sorted(points, key=lambda point: point[1])


def test_no_two_calibration_points_have_the_same_cosine() -> None:
    points = calibration_points(pairs_of([], [0.3] * 1000 + [0.1] * 1000))
    assert len({cosine for _, cosine in points}) == len(points)


def test_the_error_curve_of_pairs_falls() -> None:
    outcomes = outcomes_of(MANY)
    fmr, fnmr = pair_scores(outcomes.references, outcomes.probes, outcomes.persons).det()
    assert len(fmr) > 20
    assert (np.diff(fmr) <= 0).all()
    assert (np.diff(fnmr) >= 0).all()


def test_there_is_no_error_curve_if_there_are_too_few_pairs() -> None:
    for pairs in (pairs_of([], [0.1] * 100), pairs_of([0.5], [0.1] * 9)):
        assert [len(axis) for axis in pairs.det()] == [0, 0]
