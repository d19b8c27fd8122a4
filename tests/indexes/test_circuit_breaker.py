"""Calls to another side: ended in time, side by side, and left alone after repeated failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from people.errors import IndexUnavailable
from people.indexes.circuit_breaker import Guard

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
def guard(clock: Clock) -> Iterator[Guard]:
    guard = Guard(threads=2, failures=3, pause=10, clock=clock)
    yield guard
    guard.close()


class Side:
    """The other side: away or not, and it counts how often it is called."""

    def __init__(self) -> None:
        self.away = True
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.away:
            raise OSError("10.0.0.7 of person 17 is away")
        return "here"


def _fails(guard: Guard, work: Callable[[], object]) -> None:
    with pytest.raises(IndexUnavailable):
        guard.call(work, seconds=LONG)


def test_a_call_that_never_returns_is_left_behind_and_the_next_one_is_answered(guard: Guard) -> None:
    never, began = Event(), Event()

    def hangs() -> None:
        began.set()
        never.wait(LONG)

    try:
        with pytest.raises(IndexUnavailable):
            guard.call(hangs, seconds=0.01)
        assert began.wait(LONG)
        assert guard.call(lambda: "answered", seconds=LONG) == "answered"
    finally:
        never.set()


def test_calls_of_several_threads_run_side_by_side(guard: Guard) -> None:
    both_are_here = Barrier(2)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(guard.call, lambda: both_are_here.wait(5), seconds=LONG) for _ in range(2)]
        assert sorted(call.result() for call in calls) == [0, 1]


def test_after_failures_in_a_row_nothing_is_called_until_the_pause_is_over(
    guard: Guard, clock: Clock
) -> None:
    side = Side()
    for _ in range(5):
        _fails(guard, side)
    assert side.calls == 3
    clock.now += 9.9
    _fails(guard, side)
    assert side.calls == 3
    clock.now += 0.2
    side.away = False
    assert [guard.call(side, seconds=LONG) for _ in range(3)] == ["here"] * 3


def test_a_side_that_is_still_away_after_the_pause_is_asked_once_a_pause(guard: Guard, clock: Clock) -> None:
    side = Side()
    for _ in range(3):
        _fails(guard, side)
    for pauses in (1, 2):
        clock.now += 10
        for _ in range(3):
            _fails(guard, side)
        assert side.calls == 3 + pauses


def test_only_one_call_finds_out_whether_the_side_is_back(guard: Guard, clock: Clock) -> None:
    side, asked, may_answer = Side(), Event(), Event()
    for _ in range(3):
        _fails(guard, side)
    clock.now += 10

    def slow() -> str:
        asked.set()
        assert may_answer.wait(LONG)
        return "here"

    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(guard.call, slow, seconds=LONG)
        assert asked.wait(LONG)
        _fails(guard, side)
        assert side.calls == 3
        may_answer.set()
        assert first.result() == "here"
    side.away = False
    assert guard.call(side, seconds=LONG) == "here"


def test_failures_with_an_answer_between_them_are_no_reason_to_pause(guard: Guard) -> None:
    side = Side()
    for _ in range(4):
        for side.away in (True, True, False):
            if side.away:
                _fails(guard, side)
            else:
                guard.call(side, seconds=LONG)
    assert side.calls == 12


def test_what_a_failure_says_is_not_told_but_its_kind_is(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    _fails(guard, Side())
    assert "OSError" in caplog.text
    assert "person 17" not in caplog.text
