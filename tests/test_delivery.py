"""How a worker processes outbox entries: the handlers, and what each outcome changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from people import delivery, enrolment, erasure, extraction, index_sync, outbox
from people.delivery import Done, Failed, Handler, Later, Outcome
from people.errors import IndexUnavailable, StorageUnavailable
from people.failed_tasks import failed_tasks
from people.imports import jobs, sources
from people.indexes.base import Space
from people.models import Collection, Erasure, ImportJob, OutboxEntry, Person, Photo
from people.models.photo import photo_storage
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, zipped
from tests.stored_files import stored_files

Topic = OutboxEntry.Topic
Enrol = Callable[..., Person]
pytestmark = pytest.mark.django_db


def _entry(topic: str = Topic.PURGE_FILE, **fields: Any) -> OutboxEntry:
    return OutboxEntry.objects.create(topic=topic, due_at=timezone.now(), **fields)


def _deliver(entry: OutboxEntry, times: int = 1) -> OutboxEntry:
    """Deliver the entry `times` times without pauses, and reload it."""
    for _ in range(times):
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
        delivery.deliver(entry.pk)
    entry.refresh_from_db()
    return entry


def _raises(*args: object, **options: object) -> Any:
    raise ValueError


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
    entry = _entry("a_later_topic")
    with caplog.at_level(logging.ERROR):
        _deliver(entry)
    [line] = caplog.records
    assert "a_later_topic" in line.getMessage()
    assert line.exc_info is not None
    assert line.exc_info[0] is delivery.UnknownTopic
    assert (entry.attempts, entry.last_error, entry.done_at) == (1, "UnknownTopic", None)
    _deliver(entry, outbox.MAX_ATTEMPTS - 1)
    assert list(failed_tasks()) == [entry]


def test_done_completes_the_entry(set_handler: Callable[..., None]) -> None:
    completed: list[OutboxEntry] = []
    set_handler(lambda entries: [Done()], complete=completed.append)
    entry = _deliver(_entry())
    assert completed == [entry]
    set_handler(lambda entries: [Done()])
    assert _deliver(entry).done_at is not None


def test_a_postponed_entry_is_due_after_the_given_seconds_and_no_attempt_is_counted(
    set_handler: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    set_handler(lambda entries: [Later(36.5)])
    entry = _deliver(_entry(last_error="OSError"))
    assert (entry.due_at - now, entry.attempts, entry.last_error) == (timedelta(seconds=36.5), 0, "")
    delivery.deliver(entry.pk)
    entry.refresh_from_db()
    assert entry.attempts == 0


@pytest.mark.django_db(transaction=True)
def test_an_entry_postponed_by_zero_seconds_wakes_a_worker(
    set_handler: Callable[..., None], messages: list[int]
) -> None:
    entry = _entry()
    set_handler(lambda entries: [Later(0)])
    _deliver(entry)
    assert messages == [entry.pk]
    set_handler(lambda entries: [Later(1)])
    _deliver(entry)
    assert messages == [entry.pk]


@pytest.mark.parametrize("raises", [True, False])
def test_a_failure_is_logged_and_counted_and_after_the_last_attempt_the_entry_is_a_failed_task(
    raises: bool, set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def process(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
        if raises:
            raise ValueError("a name that must not be logged")
        return [Failed(ValueError("a name that must not be logged"))]

    given_up: list[OutboxEntry] = []
    set_handler(process, give_up=given_up.append)
    entry = _entry()
    with caplog.at_level(logging.ERROR):
        _deliver(entry, outbox.MAX_ATTEMPTS - 1)
        assert (given_up, list(failed_tasks())) == ([], [])
        _deliver(entry)
    assert [line.levelname for line in caplog.records] == ["ERROR"] * outbox.MAX_ATTEMPTS
    assert "failed task" in caplog.records[-1].getMessage()
    assert (entry.attempts, entry.last_error) == (outbox.MAX_ATTEMPTS, "ValueError")
    # immediately, without another pause
    assert (given_up, list(failed_tasks())) == ([entry], [entry])
    _deliver(entry)
    assert given_up == [entry]


@pytest.mark.parametrize(
    "error",
    [OperationalError("connection lost"), StorageUnavailable(), IndexUnavailable(), ConnectionResetError()],
)
def test_an_outage_delays_an_entry_and_is_not_counted_as_an_attempt(
    error: Exception, set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(error)])
    entry = _entry()
    _deliver(entry, 3 * outbox.MAX_ATTEMPTS)
    assert (entry.attempts, entry.last_error) == (0, type(error).__name__)
    wait = (entry.due_at - timezone.now()).total_seconds()
    assert outbox.OUTAGE_PAUSE / 2 - 1 < wait < outbox.OUTAGE_PAUSE * 3 / 2
    assert {line.levelname for line in caplog.records if line.name == "people.delivery"} == {"WARNING"}
    assert not failed_tasks().exists()


def test_a_long_outage_is_logged_as_an_error_for_the_alarm(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(StorageUnavailable())])
    entry = _entry()
    OutboxEntry.objects.update(created_at=timezone.now() - delivery.LONG_OUTAGE)
    _deliver(entry)
    [line] = [line for line in caplog.records if line.name == "people.delivery"]
    assert line.levelname == "ERROR"
    assert entry.attempts == 0


def test_the_message_of_an_outage_is_logged(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_handler(lambda entries: [Failed(IndexUnavailable("Set TEMPLATE_INDEX back."))])
    _deliver(_entry())
    assert "Set TEMPLATE_INDEX back." in caplog.text


def test_an_error_in_processing_a_batch_fails_all_its_entries(set_handler: Callable[..., None]) -> None:
    batches: list[list[OutboxEntry]] = []

    def process(entries: Sequence[OutboxEntry]) -> Sequence[Outcome]:
        batches.append(list(entries))
        raise ValueError

    set_handler(process, batch=3)
    entries = [_entry() for _ in range(4)]
    import_entry = _entry(Topic.RUN_IMPORT)
    delivery.deliver(entries[0].pk)
    assert batches == [entries[:3]]
    counted = OutboxEntry.objects.order_by("pk").values_list("attempts", "last_error")
    assert list(counted) == [(1, "ValueError")] * 3 + [(0, "")] * 2
    assert OutboxEntry.objects.get(pk=import_entry.pk).attempts == 0


def test_each_entry_of_a_batch_has_its_own_outcome(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: [Done(), Failed(ValueError()), Failed(StorageUnavailable())], batch=3)
    entries = [_entry() for _ in range(3)]
    delivery.deliver(entries[0].pk)
    done, failed, waiting = OutboxEntry.objects.order_by("pk")
    assert done.done_at is not None
    assert (failed.attempts, failed.last_error) == (1, "ValueError")
    assert (waiting.attempts, waiting.last_error) == (0, "StorageUnavailable")


def test_a_missing_outcome_fails_the_whole_batch(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: [Done()], batch=2)
    _entry()
    _deliver(_entry())
    assert set(OutboxEntry.objects.values_list("attempts", "done_at")) == {(1, None)}


def test_an_error_in_completing_an_entry_counts_as_a_failed_attempt(set_handler: Callable[..., None]) -> None:
    def fail(entry: OutboxEntry) -> None:
        raise ValueError

    set_handler(lambda entries: [Done()], complete=fail)
    entry = _deliver(_entry())
    assert (entry.attempts, entry.last_error, entry.done_at) == (1, "ValueError", None)


def test_an_error_in_giving_up_keeps_the_failed_task_listed_and_other_entries_delivered(
    set_handler: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> Any:
        raise ValueError

    set_handler(fail, give_up=fail)
    entry, next_entry = _entry(attempts=outbox.MAX_ATTEMPTS - 1), _entry()
    delivery.sweep(10)
    assert list(failed_tasks()) == [entry]
    assert OutboxEntry.objects.get(pk=next_entry.pk).attempts == 1


def test_a_deleted_or_claimed_entry_is_not_processed(set_handler: Callable[..., None]) -> None:
    set_handler(lambda entries: pytest.fail("the entry was processed"))
    delivery.deliver(0)
    entry = _entry()
    assert outbox.claim(entry.pk) is not None
    delivery.deliver(entry.pk)


def test_a_sweep_without_time_left_does_not_sync_the_index(
    set_handler: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_sync, "sync", lambda: pytest.fail("the index was synced"))
    set_handler(lambda entries: [Done()])
    entries = [_entry(), _entry()]
    delivery.sweep(0)
    done = OutboxEntry.objects.exclude(done_at=None)
    assert [entry.pk for entry in done] == [entries[0].pk]


@pytest.mark.parametrize("moment", ["claimed", "deleted", "verified"])
def test_a_purge_taken_over_by_an_erasure_during_its_delivery_counts_on_the_receipt(
    moment: str, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled(1, 1, 2)
    enrolment.withdraw(person.photos.all()[0], actor=STAFF)
    entry = OutboxEntry.objects.get(topic=Topic.PURGE_FILE)
    storage = type(photo_storage())
    step = {"claimed": "delete", "deleted": "exists", "verified": "exists"}[moment]
    original = getattr(storage, step)

    def erase_at_this_step(self: Any, name: str) -> Any:
        result = original(self, name) if moment == "verified" else None
        monkeypatch.setattr(storage, step, original)
        erasure.erase(person, actor=STAFF)
        return result if moment == "verified" else original(self, name)

    monkeypatch.setattr(storage, step, erase_at_this_step)
    delivery.deliver(entry.pk)
    receipt = Erasure.objects.get()
    assert (receipt.files_purged, receipt.status) == (1, "pending")
    delivery.sweep(10)
    receipt.refresh_from_db()
    # the file of the withdrawn photo and the file of the erased one
    assert (receipt.files_purged, receipt.status) == (2, "complete")
    assert stored_files() == []


def test_a_purge_whose_entry_is_deleted_during_its_delivery_is_not_repeated(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = outbox.request_file_purge("nothing.jpg")
    exists = type(photo_storage()).exists

    def delete_entries(self: Any, name: str) -> bool:
        OutboxEntry.objects.all().delete()
        return exists(self, name)

    monkeypatch.setattr(type(photo_storage()), "exists", delete_entries)
    delivery.deliver(entry.pk)
    assert not OutboxEntry.objects.exists()


def test_a_file_that_belongs_to_a_photo_is_not_purged(enrolled: Enrol) -> None:
    photo = enrolled(1).photos.get()
    entry = _deliver(outbox.request_file_purge(str(photo.file.name)))
    assert entry.done_at is not None
    assert stored_files() == [photo.file.name]


def _of_topic(topic: str) -> OutboxEntry:
    return OutboxEntry.objects.get(topic=topic)


def test_a_photo_whose_enrolment_keeps_failing_is_rejected_and_a_retry_is_harmless(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person.objects.create(collection=collection)
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "from_photo", _raises)
        _deliver(_of_topic(Topic.ENROL_PHOTO), outbox.MAX_ATTEMPTS)
    photo.refresh_from_db()
    assert photo.status == Photo.Status.REJECTED
    assert (photo.rejection or {})["code"] == "processing_failed"
    outbox.restart(failed_tasks())
    assert _deliver(_of_topic(Topic.ENROL_PHOTO)).done_at is not None
    photo.refresh_from_db()
    assert photo.status == Photo.Status.REJECTED


def test_an_import_that_keeps_failing_ends_as_failed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    monkeypatch.setattr(sources, "opened", _raises)
    _deliver(_of_topic(Topic.RUN_IMPORT), outbox.MAX_ATTEMPTS)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "processing_failed")


def test_an_import_is_delivered_again_until_it_ends(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", 0)
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = _deliver(_of_topic(Topic.RUN_IMPORT))
    assert (entry.attempts, entry.done_at) == (0, None)
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", 20)
    assert _deliver(entry).done_at is not None
    job.refresh_from_db()
    assert job.state == ImportJob.State.COMPLETE


class PartlyDeletingIndex:
    """A remote index that fails to delete the vectors in `kept`."""

    kept: ClassVar[set[UUID]] = set()

    def remove(self, space: Space, ids: Sequence[UUID]) -> None: ...

    def held(self, space: Space, ids: Sequence[UUID]) -> set[UUID]:
        return self.kept & set(ids)

    # a purge calls none of these
    nearest = load = check = send = searchable = listed = spaces = drop = _raises


def _vector_purge(settled: timedelta) -> OutboxEntry:
    return _entry(
        Topic.PURGE_VECTOR, vector_id=uuid4(), collection_id=uuid4(), engine="fake/1",
        settled_at=timezone.now() + settled,
    )  # fmt: skip


def test_vectors_are_purged_in_a_batch_and_verified_one_by_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TEMPLATE_INDEX = {"BACKEND": f"{__name__}.PartlyDeletingIndex", "OPTIONS": {}}
    deleted, early, held = (_vector_purge(timedelta(seconds=seconds)) for seconds in (-60, 30, -60))
    monkeypatch.setattr(PartlyDeletingIndex, "kept", {held.vector_id})
    delivery.deliver(deleted.pk)
    for entry in (deleted, early, held):
        entry.refresh_from_db()
    assert deleted.done_at is not None
    # looked up again only when no late write can restore it
    assert early.settled_at is not None
    assert timedelta(0) < early.due_at - early.settled_at < timedelta(seconds=5)
    assert (early.attempts, early.last_error) == (0, "")
    assert (held.attempts, held.last_error) == (1, "StillThere")
