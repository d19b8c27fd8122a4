"""How a worker delivers outbox entries: batches, and what each outcome of a handler changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from people import delivery, index_sync, outbox
from people.delivery import Done, Failed, Handler, Later, Outcome
from people.errors import IndexUnavailable, StorageUnavailable
from people.failed_tasks import failed_tasks
from people.models import OutboxEntry
from tests.outbox_entries import an_entry, deliver

Topic = OutboxEntry.Topic
pytestmark = pytest.mark.django_db


@pytest.fixture
def set_handler(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces the handler for file purges."""

    def set_handler(process: Callable[[Sequence[OutboxEntry]], Sequence[Outcome]], **options: Any) -> None:
        handler = Handler(process, **options)
        monkeypatch.setattr(delivery, "HANDLERS", {**delivery.HANDLERS, Topic.PURGE_FILE: handler})

    return set_handler


def test_every_topic_for_workers_has_a_handler() -> None:
    assert set(delivery.HANDLERS) == set(Topic) - {Topic.PERSON_CHANGED}


def test_an_entry_with_an_unknown_topic_logs_errors_and_becomes_a_failed_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = an_entry("a_later_topic")
    with caplog.at_level(logging.ERROR):
        deliver(entry)
    [line] = caplog.records
    assert "a_later_topic" in line.getMessage()
    assert line.exc_info is not None
    assert line.exc_info[0] is delivery.UnknownTopic
    assert (entry.attempts, entry.last_error, entry.done_at) == (1, "UnknownTopic", None)
    deliver(entry, outbox.MAX_ATTEMPTS - 1)
    assert list(failed_tasks()) == [entry]


def test_done_completes_the_entry(set_handler: Callable[..., None]) -> None:
    completed: list[OutboxEntry] = []
    set_handler(lambda entries: [Done()], complete=completed.append)
    entry = deliver(an_entry())
    assert completed == [entry]
    set_handler(lambda entries: [Done()])
    assert deliver(entry).done_at is not None


def test_a_postponed_entry_is_due_after_the_given_seconds_and_no_attempt_is_counted(
    set_handler: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    set_handler(lambda entries: [Later(36.5)])
    entry = deliver(an_entry(last_error="OSError"))
    assert (entry.due_at - now, entry.attempts, entry.last_error) == (timedelta(seconds=36.5), 0, "")
    delivery.deliver(entry.pk)
    entry.refresh_from_db()
    assert entry.attempts == 0


@pytest.mark.django_db(transaction=True)
def test_an_entry_postponed_by_zero_seconds_wakes_a_worker(
    set_handler: Callable[..., None], messages: list[int]
) -> None:
    entry = an_entry()
    set_handler(lambda entries: [Later(0)])
    deliver(entry)
    assert messages == [entry.pk]
    set_handler(lambda entries: [Later(1)])
    deliver(entry)
    assert messages == [entry.pk]


@pytest.mark.parametrize("raises", [True, False])
def test_a_failure_is_logged_and_counted_and_after_the_last_attempt_the_entry_is_a_failed_task(
    raises: bool, set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def process(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
        if raises:
            raise ValueError("a name that must not be logged")
        return [Failed(ValueError("a name that must not be logged"))]

    reported_entries: list[OutboxEntry] = []
    set_handler(process, give_up=reported_entries.append)
    entry = an_entry()
    with caplog.at_level(logging.ERROR):
        deliver(entry, outbox.MAX_ATTEMPTS - 1)
        assert (reported_entries, list(failed_tasks())) == ([], [])
        deliver(entry)
    assert [line.levelname for line in caplog.records] == ["ERROR"] * outbox.MAX_ATTEMPTS
    *earlier, last = [line.getMessage() for line in caplog.records]
    assert "failed task" in last
    assert not any("failed task" in line for line in earlier)
    assert (entry.attempts, entry.last_error) == (outbox.MAX_ATTEMPTS, "ValueError")
    # immediately, without another pause
    assert (reported_entries, list(failed_tasks())) == ([entry], [entry])
    deliver(entry)
    assert reported_entries == [entry]


@pytest.mark.parametrize(
    "error",
    [OperationalError("connection lost"), StorageUnavailable(), IndexUnavailable(), ConnectionResetError()],
)
def test_an_outage_delays_an_entry_and_is_not_counted_as_an_attempt(
    error: Exception, set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(error)])
    entry = an_entry()
    deliver(entry, 3 * outbox.MAX_ATTEMPTS)
    assert (entry.attempts, entry.last_error) == (0, type(error).__name__)
    wait = (entry.due_at - timezone.now()).total_seconds()
    assert outbox.OUTAGE_PAUSE / 2 - 1 < wait < outbox.OUTAGE_PAUSE * 3 / 2
    assert {line.levelname for line in caplog.records if line.name == "people.delivery"} == {"WARNING"}
    assert not failed_tasks().exists()


def test_a_long_outage_is_logged_as_an_error_for_the_alarm(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(StorageUnavailable())])
    entry = an_entry()
    OutboxEntry.objects.update(created_at=timezone.now() - delivery.LONG_OUTAGE)
    deliver(entry)
    [line] = [line for line in caplog.records if line.name == "people.delivery"]
    assert line.levelname == "ERROR"
    assert entry.attempts == 0


def test_the_message_of_an_outage_is_logged(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(IndexUnavailable("Set TEMPLATE_INDEX back."))])
    deliver(an_entry())
    assert "Set TEMPLATE_INDEX back." in caplog.text


def test_an_error_in_processing_a_batch_fails_all_its_entries(set_handler: Callable[..., None]) -> None:
    batches: list[list[OutboxEntry]] = []

    def process(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
        batches.append(list(entries))
        raise ValueError

    set_handler(process, batch=3)
    entries = [an_entry() for _ in range(4)]
    import_entry = an_entry(Topic.RUN_IMPORT)
    delivery.deliver(entries[0].pk)
    assert batches == [entries[:3]]
    counted = OutboxEntry.objects.order_by("pk").values_list("attempts", "last_error")
    assert list(counted) == [(1, "ValueError")] * 3 + [(0, "")] * 2
    assert OutboxEntry.objects.get(pk=import_entry.pk).attempts == 0


def test_each_entry_of_a_batch_has_its_own_outcome(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: [Done(), Failed(ValueError()), Failed(StorageUnavailable())], batch=3)
    entries = [an_entry() for _ in range(3)]
    delivery.deliver(entries[0].pk)
    done_entry, failed_entry, delayed_entry = OutboxEntry.objects.order_by("pk")
    assert done_entry.done_at is not None
    assert (failed_entry.attempts, failed_entry.last_error) == (1, "ValueError")
    assert (delayed_entry.attempts, delayed_entry.last_error) == (0, "StorageUnavailable")


def test_a_missing_outcome_fails_the_whole_batch(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: [Done()], batch=2)
    an_entry()
    deliver(an_entry())
    assert set(OutboxEntry.objects.values_list("attempts", "done_at")) == {(1, None)}


def test_an_error_in_completing_an_entry_counts_as_a_failed_attempt(set_handler: Callable[..., None]) -> None:
    def fail(entry: OutboxEntry) -> None:
        raise ValueError

    set_handler(lambda entries: [Done()], complete=fail)
    entry = deliver(an_entry())
    assert (entry.attempts, entry.last_error, entry.done_at) == (1, "ValueError", None)


def test_an_error_in_giving_up_keeps_the_failed_task_listed_and_other_entries_delivered(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> Any:
        raise ValueError

    set_handler(fail, give_up=fail)
    entry, next_entry = an_entry(attempts=outbox.MAX_ATTEMPTS - 1), an_entry()
    delivery.sweep(10)
    assert list(failed_tasks()) == [entry]
    assert OutboxEntry.objects.get(pk=next_entry.pk).attempts == 1


def test_a_deleted_or_claimed_entry_is_not_processed(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: pytest.fail("the entry was processed"))
    delivery.deliver(0)
    entry = an_entry()
    assert outbox.claim(entry.pk) is not None
    delivery.deliver(entry.pk)


def test_a_sweep_without_time_left_does_not_sync_the_index(
    set_handler: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_sync, "sync", lambda: pytest.fail("the index was synced"))
    set_handler(lambda entries: [Done()])
    entries = [an_entry(), an_entry()]
    delivery.sweep(0)
    done_entries = OutboxEntry.objects.exclude(done_at=None)
    assert [entry.pk for entry in done_entries] == [entries[0].pk]
