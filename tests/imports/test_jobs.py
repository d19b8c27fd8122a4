"""Import jobs from submission to end, including interruptions, cancellations, outages and failures."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import Storage
from django.utils import timezone

from people import delivery, enrolment, erasure, extraction, outbox, tasks
from people.imports import jobs, sources
from people.models import Collection, ImportItem, ImportJob, OutboxEntry, Person, Photo
from people.models.import_job import Counts
from tests.actors import STAFF
from tests.importing import PEOPLE, kill, results, run, zipped
from tests.stored_files import stored_files


def test_an_interrupted_import_resumes_where_it_stopped(collection: Collection) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            jobs.run(job.pk, watch=kill)
    assert jobs.counts(job) == Counts(total=3, pending=1, enrolled=2)
    assert jobs.run(job.pk)
    assert jobs.counts(job) == Counts(total=3, enrolled=3)


def test_a_file_stored_before_the_process_died_counts_as_enrolled_by_this_import(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", kill)
        with pytest.raises(KeyboardInterrupt):
            jobs.run(job.pk)
    assert Photo.objects.get().status == Photo.Status.PENDING
    assert jobs.run(job.pk)
    assert set(results(job).values()) == {ImportItem.State.ENROLLED}
    assert Photo.objects.count() == 3


def test_an_uploaded_archive_is_deleted_when_its_import_completes_fails_or_is_cancelled(
    collection: Collection, work: Callable[[], None]
) -> None:
    run({"ada/1.txt": b"x"}, collection)
    run({"../1.txt": b"x"}, collection)
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    archives = [f"imports/{import_job.pk}.zip" for import_job in sorted(ImportJob.objects.all(), key=str)]
    assert stored_files() == archives
    assert jobs.cancel(job, actor=STAFF)
    work()
    assert stored_files() == []


def test_an_archive_whose_import_was_never_stored_is_removed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(outbox, "request_import", kill)
    with pytest.raises(KeyboardInterrupt):
        jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert len(stored_files()) == 1
    OutboxEntry.objects.update(due_at=timezone.now())
    work()
    assert stored_files() == []


def test_a_cancelled_import_stops_and_keeps_the_photos_it_has_enrolled(collection: Collection) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)

    def cancel(item: ImportItem) -> None:
        jobs.cancel(job, actor=STAFF)

    assert jobs.run(job.pk, watch=cancel)
    job.refresh_from_db()
    assert job.state == ImportJob.State.CANCELLED
    assert sorted(results(job).values()) == ["enrolled", "skipped cancelled", "skipped cancelled"]
    assert not jobs.cancel(job, actor=STAFF)


def test_deleting_a_collection_stops_its_imports_and_deletes_their_archives(
    collection: Collection, work: Callable[[], None]
) -> None:
    jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    erasure.erase_collection(collection, actor=STAFF)
    work()
    assert stored_files() == []
    assert not ImportItem.objects.exists()


def test_the_worker_runs_an_import_a_little_at_a_time(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, messages: list[int]
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", -1)
    tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert (entry.attempts, entry.done_at, jobs.counts(job).pending) == (0, None, 3)
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", 60)
    tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert entry.done_at is not None
    assert jobs.counts(job).enrolled == 3


def test_an_import_that_fails_repeatedly_ends_as_failed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    monkeypatch.setattr(sources, "people_of", _broken)
    for _ in range(10):
        tasks.deliver(entry.pk)
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "processing_failed")
    work()
    assert stored_files() == []


def _broken(*args: Any) -> None:
    raise RuntimeError


def test_a_collection_deleted_during_an_import_leaves_nothing_behind(
    collection: Collection, work: Callable[[], None]
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert jobs.run(job.pk, watch=lambda item: _delete(collection))
    work()
    assert not Person.objects.exists()
    assert not Collection.objects.exists()
    assert stored_files() == []


def _delete(collection: Collection) -> None:
    erasure.erase_collection(collection, actor=STAFF)


def test_an_import_waits_during_an_outage(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "save", _disk_full)
        tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert (entry.attempts, entry.last_error, jobs.counts(job).pending) == (0, "StorageUnavailable", 3)
    assert jobs.run(job.pk)
    assert jobs.counts(job).enrolled == 3


def _disk_full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_an_error_in_one_file_does_not_stop_the_others(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = extraction.extract
    calls = iter(range(9))

    def fail_on_first_call(*args: Any) -> Any:
        if next(calls) == 0:
            raise RuntimeError
        return extract(*args)

    monkeypatch.setattr(extraction, "extract", fail_on_first_call)
    job = run(PEOPLE, collection)
    assert sorted(results(job).values()) == ["enrolled", "enrolled", "rejected processing_failed"]
