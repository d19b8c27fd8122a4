"""Counters for rate limits, and requests while a counter fails."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import cast

import pytest

from people.api import throttling
from people.api.counters import PAUSE_SECONDS, Counter, OptionalCounter, RedisCounter, SqliteCounter
from tests.api.program import Program
from tests.servers import Redis, free_port, hung_server, redis_server

pytestmark = pytest.mark.once
DAY = 86_400


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "counts.sqlite3"


@pytest.fixture
def in_file(file: Path) -> Iterator[Callable[..., SqliteCounter]]:
    """Return a function that creates counters which share one file. They are closed at the end."""
    with ExitStack() as counters:

        def create(clock: Callable[[], float] = time.time) -> SqliteCounter:
            return counters.enter_context(closing(SqliteCounter(file, clock)))

        yield create


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def create_counter(request: pytest.FixtureRequest) -> Callable[[], Counter]:
    """Return a function that creates counters which share their counts."""
    if request.param == "sqlite":
        return cast("Callable[[], Counter]", request.getfixturevalue("in_file"))
    server: Redis = request.getfixturevalue("redis")
    return lambda: RedisCounter(server.url)


def test_counters_that_share_a_storage_share_their_counts(create_counter: Callable[[], Counter]) -> None:
    first, second = create_counter(), create_counter()
    assert [first.add("key", DAY), second.add("key", DAY), first.add("key", DAY)] == [1, 2, 3]


def test_each_name_has_its_own_count(create_counter: Callable[[], Counter]) -> None:
    counter = create_counter()
    assert [counter.add(name, DAY) for name in ("key:a", "key:b", "key:a'; --", "key:\u00e4\x00")] == [1] * 4


def test_counts_of_many_threads_are_exact(create_counter: Callable[[], Counter]) -> None:
    counters = [create_counter(), create_counter()]
    with ThreadPoolExecutor(12) as threads:
        counts = threads.map(lambda number: counters[number % 2].add("key", DAY), range(480))
        assert sorted(counts) == list(range(1, 481))


def test_expired_counts_are_deleted_from_the_file(file: Path, in_file: Callable[..., Counter]) -> None:
    clock = Clock()
    counter = in_file(clock)
    counter.add("minute", 60)
    counter.add("day", DAY)
    clock.now += 61
    counter.add("minute later", 60)
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM counts ORDER BY name").fetchall()
    assert names == [("day",), ("minute later",)]
    assert counter.add("day", DAY) == 2


def test_a_count_in_the_file_survives_the_process(
    in_file: Callable[..., SqliteCounter],
) -> None:
    first = in_file()
    first.add("key", DAY)
    first.close()
    assert in_file().add("key", DAY) == 2


def test_only_the_owner_can_read_the_file_and_it_has_a_write_ahead_log(
    file: Path, in_file: Callable[..., Counter]
) -> None:
    in_file().add("key", DAY)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_counting_works_again_once_a_damaged_file_is_removed(
    file: Path, in_file: Callable[..., Counter]
) -> None:
    file.parent.mkdir()
    file.write_text("no database" * 1_000)
    counter = in_file()
    with pytest.raises(sqlite3.DatabaseError):
        counter.add("key", DAY)
    file.unlink()
    assert counter.add("key", DAY) == 1


@pytest.mark.redis
def test_redis_keeps_a_count_for_its_time_and_then_deletes_it(redis: Redis) -> None:
    import redis as library

    counter = RedisCounter(redis.url)
    counter.add("key", DAY)
    counter.add("key", DAY)
    with library.Redis.from_url(redis.url) as client:
        seconds_left = client.ttl("key")
    assert DAY - 60 < seconds_left <= DAY


@contextmanager
def _folder_that_is_a_file(path: Path) -> Iterator[Counter]:
    path.write_text("")
    yield SqliteCounter(path / "counts.sqlite3")


@contextmanager
def _file_that_is_not_a_database(path: Path) -> Iterator[Counter]:
    path.write_text("no database" * 1_000)
    yield SqliteCounter(path)


@contextmanager
def _file_locked_by_another_process(path: Path) -> Iterator[Counter]:
    with closing(SqliteCounter(path)) as counter:
        counter.add("key", DAY)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield counter


@contextmanager
def _unavailable_redis(path: Path) -> Iterator[Counter]:
    yield RedisCounter(f"redis://127.0.0.1:{free_port()}/0")


@contextmanager
def _hanging_redis(path: Path) -> Iterator[Counter]:
    with hung_server() as port:
        yield RedisCounter(f"redis://127.0.0.1:{port}/0")


FAULTS = [
    _folder_that_is_a_file, _file_that_is_not_a_database, _file_locked_by_another_process, _unavailable_redis,
    _hanging_redis,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_requests_that_cannot_be_counted_are_allowed_and_logged_once(
    fault: Callable[[Path], AbstractContextManager[Counter]],
    tmp_path: Path,
    program: Callable[..., Program],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    api = program(rate="1/day")
    with fault(tmp_path / "counts.sqlite3") as counter:
        monkeypatch.setattr(throttling, "counter", OptionalCounter(counter, clock))
        for _ in range(3):
            response = api.get("/api/v1/engine/")
            assert (response.status_code, response["RateLimit-Remaining"]) == (200, "0")
            clock.now += PAUSE_SECONDS / 2
    [line] = [record for record in caplog.records if record.name == "people.api.counters"]
    assert line.levelno == logging.WARNING


class FailingCounter:
    """A counter that fails while `fails` is set."""

    def __init__(self) -> None:
        self.fails, self.calls = True, 0

    def add(self, name: str, seconds: int) -> int:
        self.calls += 1
        if self.fails:
            raise ConnectionError("the server at 10.0.0.7 is unavailable")
        return 7


def test_a_counter_that_failed_is_used_again_after_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    clock, failing = Clock(), FailingCounter()
    counter = OptionalCounter(failing, clock)
    assert [counter.add("key", DAY) for _ in range(5)] == [1] * 5
    assert failing.calls == 1
    clock.now += PAUSE_SECONDS
    assert [counter.add("key", DAY) for _ in range(5)] == [1] * 5
    assert failing.calls == 2
    clock.now += PAUSE_SECONDS
    failing.fails = False
    assert [counter.add("key", DAY) for _ in range(2)] == [7, 7]
    failing.fails = True
    counter.add("key", DAY)
    assert [record.getMessage() for record in caplog.records] == [
        "Requests can't be counted now: ConnectionError"
    ] * 2
