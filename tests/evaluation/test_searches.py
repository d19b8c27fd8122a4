from __future__ import annotations

import numpy as np
import pytest

from people.decision import mean_template
from people.evaluation.searches import Searches, Split, search, split
from tests.evaluation.samples import MANY, outcomes_of


def test_the_first_photos_are_enrolled_and_single_photos_are_strangers() -> None:
    assert split(outcomes_of([0, 0, 0, 1, 2, 2]), enrol=2) == Split({0: [0, 1]}, [2], [3])


def test_a_photo_without_a_face_is_never_enrolled() -> None:
    outcomes = outcomes_of([0, 0, 0, 1, 1, 2])
    outcomes.face_found[[0, 4]] = False
    assert split(outcomes, enrol=1) == Split({0: [1], 1: [3]}, [2, 0, 4], [5])


def test_a_person_with_too_few_faces_is_left_out() -> None:
    outcomes = outcomes_of([0, 0, 0, 1, 1, 1])
    outcomes.face_found[[0, 1]] = False
    assert split(outcomes, enrol=2) == Split({1: [3, 4]}, [5], [])


def test_a_search_compares_with_the_mean_of_the_enrolled_photos() -> None:
    outcomes = outcomes_of(MANY)
    parts = split(outcomes, enrol=2)
    searches = search(outcomes, parts)
    for probe, is_correct, best in zip(parts.probes, searches.is_correct, searches.best, strict=True):
        cosines = {
            person: float(outcomes.probes[probe] @ mean_template(outcomes.references[photos]))
            for person, photos in parts.enrolled.items()
        }
        assert is_correct == (max(cosines, key=lambda person: cosines[person]) == MANY[probe])
        assert best == pytest.approx(max(cosines.values()), abs=1e-6)


def test_a_probe_counts_only_if_its_candidate_is_correct_and_above_the_threshold() -> None:
    searches = Searches(
        np.array([True, True, False, True]),
        np.array([0.9, 0.5, 0.95, 0.3]),
        np.array([0, 0, 1, 1]),
        np.arange(100) / 100 * 0.5,  # the strangers' scores are 0 to 0.495
    )
    assert searches.rank1 == 0.75
    assert searches.threshold(0.01) == pytest.approx(0.49)
    assert (searches.strangers > searches.threshold(0.1)).mean() == pytest.approx(0.1)
    assert searches.tpir(searches.threshold(0.01)) == 0.5
    assert searches.tpir(0.2) == 0.75


def test_the_error_curve_of_searches_falls() -> None:
    outcomes = outcomes_of(MANY)
    fpir, fnir = search(outcomes, split(outcomes, enrol=1)).det()
    assert len(fpir) > 20
    assert (np.diff(fpir) <= 0).all()
    assert (np.diff(fnir) >= 0).all()
