"""How long failed work waits, and how often it is tried."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from people import outbox
from people.failed_tasks import failed_tasks
from people.models import OutboxEntry

LEAST, MOST = 0.0, 1 - 2**-53
"""What `random` gives at either end."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    stopped = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: stopped)
    return stopped


def _pauses(now: datetime, draw: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds after each failure of an entry until it is tried again."""
    monkeypatch.setattr(outbox, "random", lambda: draw)
    entry = outbox.request_file_purge("nothing.jpg")
    pauses = []
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=now)
        claimed = outbox.claim(entry.pk)
        assert claimed is not None
        was_the_last = outbox.failed(claimed, OSError("10.0.0.7 is down"))
        assert was_the_last == (attempt == outbox.MAX_ATTEMPTS)
        entry.refresh_from_db()
        assert (entry.attempts, entry.last_error) == (attempt, "OSError")
        pauses.append((entry.due_at - now).total_seconds())
    # failed: staff see it at once, and no worker takes it
    assert pauses.pop() == 0
    assert outbox.claim(entry.pk) is None
    assert list(failed_tasks()) == [entry]
    return pauses


def test_the_pause_after_a_failure_doubles_up_to_its_bound(
    now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert _pauses(now, 0.5, monkeypatch) == middle
    assert outbox.LONGEST_PAUSE == 300


@pytest.mark.parametrize(("draw", "share"), [(LEAST, 0.5), (MOST, 1.5)])
def test_the_pause_is_spread_by_half_to_either_side(
    draw: float, share: float, now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert _pauses(now, draw, monkeypatch) == pytest.approx([share * seconds for seconds in middle])


@pytest.mark.parametrize(("draw", "seconds"), [(LEAST, 5), (MOST, 15)])
def test_a_pause_for_an_outage_is_spread_too_and_is_not_counted_as_an_attempt(
    draw: float, seconds: float, now: datetime, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "random", lambda: draw)
    entry = outbox.request_file_purge("nothing.jpg")
    claimed = outbox.claim(entry.pk)
    assert claimed is not None
    assert claimed.due_at == now + outbox.LEASE
    outbox.await_recovery(claimed, OperationalError("10.0.0.7 is down"))
    entry.refresh_from_db()
    assert entry.attempts == 0
    assert entry.due_at - now == pytest.approx(timedelta(seconds=seconds), abs=timedelta(milliseconds=1))
