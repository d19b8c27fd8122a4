from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from people.evaluation.intervals import share_interval, tpir_interval
from people.evaluation.searches import Searches


def test_an_interval_holds_its_rate_and_is_the_same_each_time() -> None:
    hits = np.random.default_rng(0).random(400) < 0.9
    persons = np.arange(400) // 4
    low, high = share_interval(hits, persons) or (1.0, 0.0)
    assert low < hits.mean() < high
    assert (low, high) == share_interval(hits, persons)


def test_an_interval_by_person_is_wider_when_a_person_fails_as_a_whole() -> None:
    persons = np.arange(400) // 4
    alone = np.arange(400) % 10 > 0
    together = persons % 10 > 0

    def width(hits: NDArray[np.bool_]) -> float:
        low, high = share_interval(hits, persons) or (0.0, 0.0)
        return high - low

    assert width(together) > 1.5 * width(alone)


def test_no_trial_has_no_interval() -> None:
    assert share_interval(np.empty(0, dtype=bool), np.empty(0, dtype=np.int64)) is None


def test_the_tpir_interval_draws_strangers_too() -> None:
    random = np.random.default_rng(0)
    searches = Searches(
        np.ones(300, dtype=bool), random.random(300), np.arange(300) // 3, random.random(300) * 0.5
    )
    low, high = tpir_interval(searches, 0.1, draws=250)
    assert low < searches.tpir(searches.threshold(0.1)) < high
