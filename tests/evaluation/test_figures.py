from __future__ import annotations

import numpy as np
import pytest

from people.evaluation.figures import Rate, evaluate, rate_text
from tests.evaluation.samples import MANY, outcomes_of


def test_a_photo_without_a_face_is_a_miss_and_is_in_no_pair() -> None:
    outcomes = outcomes_of([0, 0, 0, 1, 1, 2])
    outcomes.face_found[[0, 4]] = False
    evaluation = evaluate(outcomes, 1)
    assert evaluation.figures.identification is not None
    assert evaluation.searches is not None
    assert evaluation.figures.detection_rate.value == pytest.approx(4 / 6)
    assert evaluation.figures.identification.enrolled == 2
    missed = evaluation.searches.best == -np.inf
    assert missed.sum() == 2  # person 0's first photo, of which the second was enrolled, and person 1's
    assert not evaluation.searches.is_correct[missed].any()
    assert evaluation.pairs.impostor_pairs + len(evaluation.pairs.genuine) == 6


def test_photos_of_several_faces_are_refused_until_the_face_is_chosen() -> None:
    outcomes = outcomes_of([0, 0, 1, 1])
    outcomes.several_faces[[0, 1]] = True
    outcomes.refused[1] = True
    figures = evaluate(outcomes, 1).figures
    assert (figures.fte.value, figures.fte_with_face_chosen.value) == (0.5, 0.25)


def test_several_enrolled_photos_are_compared_with_one_photo_of_the_same_people() -> None:
    figures = evaluate(outcomes_of(MANY), 3).figures
    with_three, with_one = figures.identification, figures.comparison
    assert with_three is not None
    assert with_one is not None
    assert (with_one.enrol, with_three.enrol) == (1, 3)
    for count in ("enrolled", "probes", "strangers"):
        assert getattr(with_one, count) == getattr(with_three, count)
    assert (with_three.rank1.value or 0) > (with_one.rank1.value or 1)


def test_there_is_no_comparison_if_one_photo_is_enrolled() -> None:
    assert evaluate(outcomes_of(MANY), 1).figures.comparison is None


def test_a_rate_is_inside_its_interval_and_has_its_threshold() -> None:
    figures = evaluate(outcomes_of([*MANY, *range(60, 170)]), 1).figures
    assert figures.identification is not None
    for rate in (figures.verification.tar_at_fmr[0.01], figures.identification.tpir_at_fpir[0.1]):
        assert rate.value is not None
        assert rate.interval is not None
        assert rate.threshold is not None
        assert rate.interval[0] <= rate.value <= rate.interval[1]
        assert -1 < rate.threshold < 1


@pytest.mark.parametrize(
    ("strangers", "reported"), [(99, (False, False)), (100, (True, False)), (1000, (True, True))]
)
def test_tpir_is_not_reported_if_its_fpir_allows_fewer_than_ten_strangers(
    strangers: int, reported: tuple[bool, bool]
) -> None:
    figures = evaluate(outcomes_of([0, 0, *range(1, strangers + 1)]), 1).figures
    assert figures.identification is not None
    rates = figures.identification.tpir_at_fpir
    assert (rates[0.1].value is not None, rates[0.01].value is not None) == reported
    assert all(rate == Rate() for rate in rates.values() if rate.value is None)
    assert any("TPIR" in note for note in figures.notes) == (not all(reported))


def test_with_too_few_people_there_are_only_notes() -> None:
    figures = evaluate(outcomes_of([0]), 1).figures
    assert figures.identification is None
    assert set(figures.verification.tar_at_fmr.values()) == {Rate()}
    assert len(figures.notes) == 2


def test_rates_are_percentages_or_powers_of_ten() -> None:
    assert [rate_text(rate) for rate in (0.1, 1e-2, 1e-3, 1e-5)] == ["10%", "1%", "1e-3", "1e-5"]
