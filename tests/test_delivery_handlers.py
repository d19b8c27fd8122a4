"""The handlers of outbox entries: purges, enrolments and imports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from people import delivery, enrolment, erasure, extraction, outbox
from people.failed_tasks import failed_tasks
from people.imports import jobs, sources
from people.indexes.base import Space
from people.models import Collection, Erasure, ImportJob, OutboxEntry, Person, Photo
from people.models.photo import photo_storage
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, zipped
from tests.outbox_entries import an_entry, deliver
from tests.stored_files import stored_files

Topic = OutboxEntry.Topic
Enrol = Callable[..., Person]
pytestmark = pytest.mark.django_db


def _of_topic(topic: str) -> OutboxEntry:
    return OutboxEntry.objects.get(topic=topic)


def _raises(*args: object, **options: object) -> Any:
    raise ValueError


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
    entry = deliver(outbox.request_file_purge(str(photo.file.name)))
    assert entry.done_at is not None
    assert stored_files() == [photo.file.name]


def test_a_photo_whose_enrolment_keeps_failing_is_rejected_and_a_retry_is_harmless(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person.objects.create(collection=collection)
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "from_photo", _raises)
        deliver(_of_topic(Topic.ENROL_PHOTO), outbox.MAX_ATTEMPTS)
    photo.refresh_from_db()
    assert photo.status == Photo.Status.REJECTED
    assert (photo.rejection or {})["code"] == "processing_failed"
    outbox.restart(failed_tasks())
    assert deliver(_of_topic(Topic.ENROL_PHOTO)).done_at is not None
    photo.refresh_from_db()
    assert photo.status == Photo.Status.REJECTED


def test_an_import_that_keeps_failing_ends_as_failed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    monkeypatch.setattr(sources, "opened", _raises)
    deliver(_of_topic(Topic.RUN_IMPORT), outbox.MAX_ATTEMPTS)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "processing_failed")


def test_an_import_is_delivered_again_until_it_ends(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", 0)
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = deliver(_of_topic(Topic.RUN_IMPORT))
    assert (entry.attempts, entry.done_at) == (0, None)
    monkeypatch.setattr(delivery, "IMPORT_SECONDS", 20)
    assert deliver(entry).done_at is not None
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
    return an_entry(
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
