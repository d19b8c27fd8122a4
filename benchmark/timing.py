"""Measures the durations of a step that runs many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from benchmark.results import Timing

WARM_UP_ROUNDS = 3
"""Rounds that don't count, in which memory is allocated and caches are filled."""
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Stopwatch:
    """Records the seconds that each run of one step takes, including the WARM_UP_ROUNDS."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def time(
        self, step: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """Run the step once, record its duration, and return its result."""
        started = time.perf_counter()
        result = step(*args, **kwargs)
        self.seconds.append(time.perf_counter() - started)
        return result

    def timing(self) -> Timing:
        """Return the percentiles and the rate of all runs after the WARM_UP_ROUNDS."""
        counted = self.seconds[WARM_UP_ROUNDS:]
        return summary(counted, per_second=len(counted) / sum(counted))


def summary(seconds: Sequence[float], *, per_second: float) -> Timing:
    """Return the percentiles of these durations, and `per_second` unchanged."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return Timing(p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99), per_second=per_second)
