"""How long an entry waits after a failed attempt, and how often it is tried."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from people import outbox
from people.failed_tasks import failed_tasks
from people.models import OutboxEntry

SMALLEST, LARGEST = 0.0, 1 - 2**-53
"""The smallest and the largest number that `random` returns."""
PAUSES = [2, 4, 8, 16, 32, 64, 128, 256, 300]
"""Seconds after each failed attempt except the last, before they are spread."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The current time, which stands still during the test."""
    frozen_time = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: frozen_time)
    return frozen_time


def _pauses(now: datetime, random_number: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds after each failed attempt until the entry is tried again."""
    monkeypatch.setattr(outbox, "random", lambda: random_number)
    entry = outbox.request_file_purge("nothing.jpg")
    pauses = []
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=now)
        claimed = outbox.claim(entry.pk)
        assert claimed is not None
        was_last_attempt = outbox.record_failure(claimed, OSError("10.0.0.7 is down"))
        assert was_last_attempt == (attempt == outbox.MAX_ATTEMPTS)
        entry.refresh_from_db()
        assert (entry.attempts, entry.last_error) == (attempt, "OSError")
        pauses.append((entry.due_at - now).total_seconds())
    # now a failed task: staff see it immediately, and no worker claims it
    assert pauses.pop() == 0
    assert outbox.claim(entry.pk) is None
    assert list(failed_tasks()) == [entry]
    return pauses


def test_the_pause_after_a_failure_doubles_up_to_a_limit(
    now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _pauses(now, 0.5, monkeypatch) == PAUSES
    assert outbox.LONGEST_PAUSE == 300


@pytest.mark.parametrize(("random_number", "factor"), [(SMALLEST, 0.5), (LARGEST, 1.5)])
def test_pauses_are_spread_between_half_and_one_and_a_half_times_their_length(
    random_number: float, factor: float, now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [factor * seconds for seconds in PAUSES]
    assert _pauses(now, random_number, monkeypatch) == pytest.approx(expected)


@pytest.mark.parametrize(("random_number", "seconds"), [(SMALLEST, 5), (LARGEST, 15)])
def test_the_pause_during_an_outage_is_spread_too_and_the_attempt_is_not_counted(
    random_number: float, seconds: float, now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "random", lambda: random_number)
    entry = outbox.request_file_purge("nothing.jpg")
    claimed = outbox.claim(entry.pk)
    assert claimed is not None
    assert claimed.due_at == now + outbox.LEASE
    outbox.await_recovery(claimed, OperationalError("10.0.0.7 is down"))
    entry.refresh_from_db()
    assert entry.attempts == 0
    assert entry.due_at - now == pytest.approx(timedelta(seconds=seconds), abs=timedelta(milliseconds=1))
