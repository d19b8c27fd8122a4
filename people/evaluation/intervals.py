"""95 % intervals of rates: a bootstrap that draws people again, not single trials.

Trials of one person depend on each other (ISO/IEC 19795-1), so whole persons are drawn.
"""

from __future__ import annotations

import numpy as np

from people.evaluation.outcomes import Flags, Floats, Labels
from people.evaluation.searches import Searches, exceeded_by

DRAWS = 1000
SEED = 19795
_HELD = 100
"""Draws held at once: 1,000 of 10,000 probes would take ten times the memory."""

Interval = tuple[float, float]
"""The 2.5 % and 97.5 % quantiles of a bootstrap."""


def share_interval(hits: Flags, persons: Labels, draws: int = DRAWS) -> Interval | None:
    """Return the 95 % interval of the mean of `hits` (n,), the trials of `persons` (n,).

    None without a trial.
    """
    if len(hits) == 0:
        return None
    _, person = np.unique(persons, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(np.random.default_rng(SEED), len(trials), draws)
    return _interval((weights @ np.bincount(person, weights=hits)) / (weights @ trials))


def tpir_interval(searches: Searches, fpir: float, draws: int = DRAWS) -> Interval:
    """Return the 95 % interval of the TPIR at `fpir`: known people and strangers are both drawn.

    The strangers of each draw set its threshold. The gallery stays as it is.
    """
    random = np.random.default_rng(SEED)
    _, person = np.unique(searches.person, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(random, len(trials), draws)
    strangers = searches.strangers
    rates = np.empty(draws)
    for start in range(0, draws, _HELD):
        held = weights[start : start + _HELD]
        drawn = strangers[random.integers(0, len(strangers), (len(held), len(strangers)))]
        found = searches.right & (searches.best > exceeded_by(drawn, fpir)[:, None])
        rates[start : start + _HELD] = (found * held[:, person]).sum(axis=1) / (held @ trials)
    return _interval(rates)


def _weights(random: np.random.Generator, persons: int, draws: int) -> Floats:
    """Return (draws, persons): how often each person is drawn, out of as many draws as persons."""
    return random.multinomial(persons, np.full(persons, 1 / persons), size=draws).astype(np.float64)


def _interval(rates: Floats) -> Interval:
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)
