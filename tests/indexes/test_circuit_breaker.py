"""The circuit breaker: calls time out, run concurrently, and are refused after repeated failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from people.errors import IndexUnavailable
from people.indexes.circuit_breaker import CircuitBreaker

LONG = 60.0
"""Seconds: a timeout that is reached only if the circuit breaker doesn't work."""


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


class Server:
    """A server that can be down, and counts the calls to it."""

    def __init__(self) -> None:
        self.down = True
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.down:
            raise OSError("10.0.0.7 of person 17 is down")
        return "response"


def _fails(breaker: CircuitBreaker, work: Callable[[], object]) -> None:
    with pytest.raises(IndexUnavailable):
        breaker.call(work, seconds=LONG)


def test_a_call_that_never_returns_is_abandoned_and_the_next_one_succeeds(
    breaker: CircuitBreaker,
) -> None:
    has_begun, may_end = Event(), Event()

    def hang() -> None:
        has_begun.set()
        may_end.wait(LONG)

    try:
        with pytest.raises(IndexUnavailable):
            breaker.call(hang, seconds=0.01)
        assert has_begun.wait(LONG)
        assert breaker.call(lambda: "response", seconds=LONG) == "response"
    finally:
        may_end.set()


def test_calls_from_several_threads_run_concurrently(breaker: CircuitBreaker) -> None:
    barrier = Barrier(2)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(breaker.call, lambda: barrier.wait(5), seconds=LONG) for _ in range(2)]
        assert sorted(call.result() for call in calls) == [0, 1]


def test_after_consecutive_failures_nothing_is_called_until_the_pause_is_over(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    server = Server()
    for _ in range(5):
        _fails(breaker, server)
    assert server.calls == 3
    clock.now += 9.9
    _fails(breaker, server)
    assert server.calls == 3
    clock.now += 0.2
    server.down = False
    assert [breaker.call(server, seconds=LONG) for _ in range(3)] == ["response"] * 3


def test_a_server_that_stays_down_is_called_once_per_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    server = Server()
    for _ in range(3):
        _fails(breaker, server)
    for pauses in (1, 2):
        clock.now += 10
        for _ in range(3):
            _fails(breaker, server)
        assert server.calls == 3 + pauses


def test_only_one_call_checks_whether_the_server_has_recovered(breaker: CircuitBreaker, clock: Clock) -> None:
    server, has_begun, may_end = Server(), Event(), Event()
    for _ in range(3):
        _fails(breaker, server)
    clock.now += 10

    def slow() -> str:
        has_begun.set()
        assert may_end.wait(LONG)
        return "response"

    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(breaker.call, slow, seconds=LONG)
        assert has_begun.wait(LONG)
        _fails(breaker, server)
        assert server.calls == 3
        may_end.set()
        assert first.result() == "response"
    server.down = False
    assert breaker.call(server, seconds=LONG) == "response"


def test_a_success_between_failures_resets_the_count(breaker: CircuitBreaker) -> None:
    server = Server()
    for _ in range(4):
        for server.down in (True, True, False):
            if server.down:
                _fails(breaker, server)
            else:
                breaker.call(server, seconds=LONG)
    assert server.calls == 12


def test_the_log_contains_an_error_s_type_but_not_its_text(
    breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    _fails(breaker, Server())
    assert "OSError" in caplog.text
    assert "person 17" not in caplog.text
