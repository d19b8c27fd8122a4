"""The circuit breaker: calls time out, run concurrently, and pause after repeated failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from people.errors import IndexUnavailable
from people.indexes.circuit_breaker import CircuitBreaker

LONG = 60.0
"""Seconds that nothing here takes, unless what is tested is broken."""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Iterator[CircuitBreaker]:
    breaker = CircuitBreaker(threads=2, failures=3, pause=10, clock=clock)
    yield breaker
    breaker.close()


class Side:
    """The other side: away or not, and it counts how often it is called."""

    def __init__(self) -> None:
        self.away = True
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.away:
            raise OSError("10.0.0.7 of person 17 is down")
        return "here"


def _fails(breaker: CircuitBreaker, work: Callable[[], object]) -> None:
    with pytest.raises(IndexUnavailable):
        breaker.call(work, seconds=LONG)


def test_a_call_that_never_returns_is_abandoned_and_the_next_one_succeeds(
    breaker: CircuitBreaker,
) -> None:
    never, began = Event(), Event()

    def hangs() -> None:
        began.set()
        never.wait(LONG)

    try:
        with pytest.raises(IndexUnavailable):
            breaker.call(hangs, seconds=0.01)
        assert began.wait(LONG)
        assert breaker.call(lambda: "answered", seconds=LONG) == "answered"
    finally:
        never.set()


def test_calls_from_several_threads_run_concurrently(breaker: CircuitBreaker) -> None:
    both_are_here = Barrier(2)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(breaker.call, lambda: both_are_here.wait(5), seconds=LONG) for _ in range(2)]
        assert sorted(call.result() for call in calls) == [0, 1]


def test_after_failures_in_a_row_nothing_is_called_until_the_pause_is_over(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    side = Side()
    for _ in range(5):
        _fails(breaker, side)
    assert side.calls == 3
    clock.now += 9.9
    _fails(breaker, side)
    assert side.calls == 3
    clock.now += 0.2
    side.away = False
    assert [breaker.call(side, seconds=LONG) for _ in range(3)] == ["here"] * 3


def test_a_service_that_stays_down_is_called_once_per_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    side = Side()
    for _ in range(3):
        _fails(breaker, side)
    for pauses in (1, 2):
        clock.now += 10
        for _ in range(3):
            _fails(breaker, side)
        assert side.calls == 3 + pauses


def test_only_one_call_checks_whether_the_service_has_recovered(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    side, asked, may_answer = Side(), Event(), Event()
    for _ in range(3):
        _fails(breaker, side)
    clock.now += 10

    def slow() -> str:
        asked.set()
        assert may_answer.wait(LONG)
        return "here"

    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(breaker.call, slow, seconds=LONG)
        assert asked.wait(LONG)
        _fails(breaker, side)
        assert side.calls == 3
        may_answer.set()
        assert first.result() == "here"
    side.away = False
    assert breaker.call(side, seconds=LONG) == "here"


def test_a_success_between_failures_resets_the_count(breaker: CircuitBreaker) -> None:
    side = Side()
    for _ in range(4):
        for side.away in (True, True, False):
            if side.away:
                _fails(breaker, side)
            else:
                breaker.call(side, seconds=LONG)
    assert side.calls == 12


def test_the_log_has_an_error_s_type_but_not_its_text(
    breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    _fails(breaker, Side())
    assert "OSError" in caplog.text
    assert "person 17" not in caplog.text
