"""Times of a step that is done again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np

WARM_UP = 3
"""Rounds before those that count."""
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


@dataclass
class Times:
    """Seconds that one step took, again and again; the first WARM_UP don't count."""

    seconds: list[float] = field(default_factory=list)

    def of(self, step: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        """Do the step and note its time; return what it gives."""
        began = time.perf_counter()
        result = step(*args, **kwargs)
        self.seconds.append(time.perf_counter() - began)
        return result

    def milliseconds(self) -> dict[str, float]:
        """Return median, 95th and 99th percentile, and how many of them a second has room for."""
        counted = self.seconds[WARM_UP:]
        return {**milliseconds(counted), "per_second": len(counted) / sum(counted)}


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return {"p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}
