from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from people.evaluation.intervals import share_interval, tpir_interval
from people.evaluation.searches import Searches


def test_an_interval_contains_its_rate_and_is_reproducible() -> None:
    hits = np.random.default_rng(0).random(400) < 0.9
    persons = np.arange(400) // 4
    low, high = share_interval(hits, persons) or (1.0, 0.0)
    assert low < hits.mean() < high
    assert (low, high) == share_interval(hits, persons)


def test_an_interval_is_wider_if_all_trials_of_a_person_fail_together() -> None:
    persons = np.arange(400) // 4
    independent_hits = np.arange(400) % 10 > 0
    hits_by_person = persons % 10 > 0

    def width(hits: NDArray[np.bool_]) -> float:
        low, high = share_interval(hits, persons) or (0.0, 0.0)
        return high - low

    assert width(hits_by_person) > 1.5 * width(independent_hits)


def test_there_is_no_interval_without_trials() -> None:
    assert share_interval(np.empty(0, dtype=bool), np.empty(0, dtype=np.int64)) is None


def test_the_tpir_interval_contains_the_tpir_at_the_strangers_threshold() -> None:
    random = np.random.default_rng(0)
    searches = Searches(
        np.ones(300, dtype=bool), random.random(300), np.arange(300) // 3, random.random(300) * 0.5
    )
    low, high = tpir_interval(searches, 0.1, draws=250)
    assert low < searches.tpir(searches.threshold(0.1)) < high
