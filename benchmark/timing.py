"""Measures how long a step takes that is run many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from benchmark.results import Timing

WARM_UP_ROUNDS = 3
"""Rounds that don't count: memory is allocated and caches fill."""
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Stopwatch:
    """The seconds that each run of one step took, including the WARM_UP_ROUNDS."""

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
        """Summarise all runs after the WARM_UP_ROUNDS."""
        counted = self.seconds[WARM_UP_ROUNDS:]
        return summary(counted, per_second=len(counted) / sum(counted))


def summary(seconds: Sequence[float], *, per_second: float) -> Timing:
    """Return the percentiles of these durations, with the rate at which they were completed."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return Timing(p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99), per_second=per_second)
