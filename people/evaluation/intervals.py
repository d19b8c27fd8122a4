"""95% intervals of rates, by a bootstrap that resamples people instead of single trials.

Trials of one person depend on each other (ISO/IEC 19795-1), so all trials of a person are drawn together.
"""

from __future__ import annotations

import numpy as np

from people.evaluation.outcomes import Flags, Floats, Labels
from people.evaluation.searches import Searches, exceeded_by

DRAWS = 1000
SEED = 19795
_BATCH = 100
"""Draws computed together, to limit memory: all 1,000 draws of 10,000 probes would take ten times as much."""

Interval = tuple[float, float]
"""The 2.5% and 97.5% quantiles of a bootstrap."""


def share_interval(hits: Flags, persons: Labels, draws: int = DRAWS) -> Interval | None:
    """Return the 95% interval of the mean of `hits` (n,), the trials of `persons` (n,).

    Returns None if there are no trials.
    """
    if len(hits) == 0:
        return None
    _, person = np.unique(persons, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(np.random.default_rng(SEED), len(trials), draws)
    return _interval((weights @ np.bincount(person, weights=hits)) / (weights @ trials))


def tpir_interval(searches: Searches, fpir: float, draws: int = DRAWS) -> Interval:
    """Return the 95% interval of the TPIR at `fpir`, from draws of both enrolled people and strangers.

    The strangers of each draw determine its threshold. The gallery isn't resampled.
    """
    random = np.random.default_rng(SEED)
    _, person = np.unique(searches.person, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(random, len(trials), draws)
    strangers = searches.strangers
    rates = np.empty(draws)
    for start in range(0, draws, _BATCH):
        batch = weights[start : start + _BATCH]
        drawn_strangers = strangers[random.integers(0, len(strangers), (len(batch), len(strangers)))]
        hits = searches.is_correct & (searches.best > exceeded_by(drawn_strangers, fpir)[:, None])
        rates[start : start + _BATCH] = (hits * batch[:, person]).sum(axis=1) / (batch @ trials)
    return _interval(rates)


def _weights(random: np.random.Generator, persons: int, draws: int) -> Floats:
    """Return (draws, persons): how often each person is in each draw of `persons` people."""
    return random.multinomial(persons, np.full(persons, 1 / persons), size=draws).astype(np.float64)


def _interval(rates: Floats) -> Interval:
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)
