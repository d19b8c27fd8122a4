from __future__ import annotations

import pytest

from benchmark.timing import WARM_UP_ROUNDS, Stopwatch, summary

pytestmark = pytest.mark.once


def test_a_step_gets_its_arguments_and_returns_its_result() -> None:
    stopwatch = Stopwatch()
    assert stopwatch.time(int, "ff", base=16) == 255
    assert len(stopwatch.seconds) == 1


def test_the_warm_up_does_not_count() -> None:
    stopwatch = Stopwatch()
    stopwatch.seconds = [9.0] * WARM_UP_ROUNDS + [0.1, 0.2, 0.3]
    timing = stopwatch.timing()
    assert timing.p50_ms == pytest.approx(200)
    assert timing.per_second == pytest.approx(5)


def test_a_summary_is_in_milliseconds() -> None:
    timing = summary([number / 1000 for number in range(101)], per_second=7.0)
    assert (timing.p50_ms, timing.p95_ms, timing.p99_ms) == pytest.approx((50, 95, 99))
    assert timing.per_second == 7.0
