from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.decision import (
    AMBIGUITY_MARGIN,
    Calibration,
    ThresholdChoice,
    decide,
    mean_template,
    pair_threshold,
    search_threshold,
    unit,
)

CALIBRATION = Calibration(
    "some/1", ((1e-1, 0.16), (1e-2, 0.26), (1e-3, 0.36), (1e-4, 0.43), (1e-5, 0.50), (1e-6, 0.57))
)


@pytest.mark.parametrize(
    ("cosine", "similarity"), [(0.36, 70), (0.43, 80), (0.50, 90), (1.0, 100), (-1.0, 0)]
)
def test_a_similarity_corresponds_to_a_false_match_rate(cosine: float, similarity: float) -> None:
    assert CALIBRATION.similarity(cosine) == pytest.approx(similarity)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_cosine_never_has_a_lower_similarity(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert CALIBRATION.similarity(low) <= CALIBRATION.similarity(high)


@given(st.floats(1, 99))
def test_the_similarity_of_the_cosine_for_a_similarity_is_that_similarity(similarity: float) -> None:
    assert CALIBRATION.similarity(CALIBRATION.cosine_at_similarity(similarity)) == pytest.approx(similarity)


def test_a_search_among_more_people_has_a_higher_threshold() -> None:
    thresholds = [search_threshold(CALIBRATION, size, ThresholdChoice()) for size in (100, 1_000, 10_000)]
    assert [round(threshold.fmr, 9) for threshold in thresholds] == [1e-4, 1e-5, 1e-6]
    assert [threshold.cosine for threshold in thresholds] == pytest.approx([0.43, 0.50, 0.57])


def test_the_threshold_for_a_small_collection_never_has_an_fmr_above_one_in_ten_thousand() -> None:
    assert search_threshold(CALIBRATION, 1, ThresholdChoice()).fmr == 1e-4
    assert search_threshold(CALIBRATION, 0, ThresholdChoice(fpir=0.5)).fmr == 1e-4


def test_beyond_the_measured_rates_the_threshold_still_rises_but_never_above_1() -> None:
    sizes = [10**power for power in range(4, 12)]
    cosines = [search_threshold(CALIBRATION, size, ThresholdChoice()).cosine for size in sizes]
    assert cosines == sorted(cosines)
    assert cosines[-1] <= 1


def test_a_threshold_can_be_chosen_by_error_rate_or_by_similarity() -> None:
    assert search_threshold(CALIBRATION, 1_000, ThresholdChoice(fpir=0.1)).fmr == pytest.approx(1e-4)
    by_fmr = search_threshold(CALIBRATION, 1_000, ThresholdChoice(fmr=1e-3))
    assert by_fmr.cosine == pytest.approx(0.36)
    assert by_fmr.fpir == pytest.approx(1 - (1 - 1e-3) ** 1_000)
    assert search_threshold(CALIBRATION, 1_000, ThresholdChoice(min_similarity=90)).cosine == pytest.approx(
        0.5
    )


def test_a_verification_has_an_fmr_of_one_in_ten_thousand_by_default() -> None:
    threshold = pair_threshold(CALIBRATION, ThresholdChoice())
    assert (threshold.fmr, threshold.fpir) == (1e-4, None)
    assert threshold.similarity == pytest.approx(80)


@pytest.mark.parametrize(
    ("cosines", "decision"),
    [
        ([], "no_match"),
        ([0.49], "no_match"),
        ([0.50], "match"),
        ([0.80, 0.49], "match"),
        ([0.80, 0.60], "match"),
        ([0.60, 0.60 - AMBIGUITY_MARGIN / 2], "ambiguous"),
        ([0.51, 0.49], "match"),
    ],
)
def test_two_people_with_close_scores_above_the_threshold_are_ambiguous(
    cosines: list[float], decision: str
) -> None:
    assert decide(cosines, 0.5)[0] == decision


def test_the_mean_template_has_unit_length_and_does_not_depend_on_the_order() -> None:
    templates = unit(np.random.default_rng(1).standard_normal((5, 128)).astype(np.float32))
    mean = mean_template(templates)
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(mean, mean_template(templates[::-1]), atol=1e-7)
