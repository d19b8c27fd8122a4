"""What is sent to Pinecone, confirmed and purged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from people import enrolment, erasure, index_sync, outbox, tasks
from people.failed_tasks import failed_tasks, retry
from people.indexes import forget_index
from people.indexes.base import Space
from people.indexes.pinecone import PineconeIndex, space_of
from people.models import Collection, Erasure, MeanTemplate, OutboxEntry, Person
from tests import fakes
from tests.actors import STAFF
from tests.pinecone_double import Double

pytestmark = [
    pytest.mark.slow,  # a remote index returns a vector some time after it was sent
    pytest.mark.usefixtures("pinecone_in_use"),
]
Enrol = Callable[..., Person]


def test_only_opaque_ids_and_vectors_are_sent(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], space: Space
) -> None:
    person = enrolled(1, external_id="emp-17")
    settle()
    [(namespace, ids)] = pinecone.stored().items()
    assert space_of(namespace) == space
    assert ids == {str(MeanTemplate.objects.get().vector_id)}
    assert str(person.pk) not in ids


def test_a_vector_that_is_deleted_before_it_was_sent_is_never_sent(
    collection: Collection, enrolled: Enrol, pinecone: Double
) -> None:
    erasure.erase(enrolled(1), actor=STAFF)
    tasks.sweep()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "complete"


@pytest.mark.parametrize("reports_positions", [True, False])
def test_a_vector_is_confirmed_only_once_searches_include_it(
    reports_positions: bool,
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_sync, "SETTLE", timedelta(0))
    pinecone.faults.reports_positions = reports_positions
    enrolled(1)
    pinecone.faults.lag = 3600.0
    monkeypatch.setattr(pinecone._random, "uniform", lambda low, high: high)
    index_sync.sync()
    index_sync.sync()
    assert MeanTemplate.objects.get().indexed_at is None
    pinecone.faults.lag = 0.0
    index_sync.sync()
    assert MeanTemplate.objects.get().indexed_at is not None


def test_a_vector_that_was_lost_in_transit_is_sent_again(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    enrolled(1)
    MeanTemplate.objects.update(sent_at=timezone.now() - index_sync.RESEND)
    settle()
    assert len(pinecone.stored()[namespace]) == 1


def test_a_receipt_is_complete_only_once_the_deletion_of_the_vector_is_verified(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    person = enrolled(1, 1, 2)
    settle()
    enrolled(2)
    receipt = erasure.erase(person, actor=STAFF)
    assert receipt.status == "pending"
    pinecone.faults.down = True
    tasks.sweep()
    receipt.refresh_from_db()
    assert (receipt.status, receipt.files_purged, receipt.vectors_purged) == ("pending", 2, 0)
    pinecone.faults.down = False
    forget_index()
    MeanTemplate.objects.update(sent_at=timezone.now() - index_sync.RESEND)
    settle()
    receipt.refresh_from_db()
    # the mean of the first photo alone was replaced, and never sent
    assert (receipt.status, receipt.files_purged, receipt.vectors_purged) == ("complete", 2, 1)
    assert receipt.completed_at is not None
    assert receipt.backups_expire_at > receipt.completed_at
    assert len(pinecone.stored()[namespace]) == 1


def test_a_replaced_vector_is_purged_and_counted_on_the_receipt_of_a_later_erasure(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None]
) -> None:
    person = enrolled(1, 1)
    settle()
    photo = enrolment.submit(person, fakes.photo(1, variation=2), actor=STAFF).photo
    enrolment.enrol(photo.pk)
    tasks.sync_index()
    receipt = erasure.erase(person, actor=STAFF)
    settle()
    receipt.refresh_from_db()
    assert (receipt.status, receipt.vectors_purged) == ("complete", 2)
    assert pinecone.stored() == {}


def test_a_write_that_arrives_after_the_purge_is_purged_again(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    person = enrolled(1)
    settle()
    vector_id = MeanTemplate.objects.get().vector_id
    MeanTemplate.objects.update(sent_at=timezone.now())  # as if it had just been sent again
    erasure.erase(person, actor=STAFF)
    tasks.sweep()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "pending"
    pinecone.write("facerec-64", namespace, {str(vector_id): np.ones(64)})
    settle()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "complete"


def test_a_purge_that_keeps_failing_becomes_a_failed_task_that_can_be_retried(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settle: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = enrolled(1)
    settle()
    erasure.erase(person, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.PURGE_VECTOR)
    with monkeypatch.context() as patch:
        # an injected fault: deletions have no effect, so each lookup returns the vector
        patch.setattr(PineconeIndex, "remove", lambda *args: None)
        for _ in range(outbox.MAX_ATTEMPTS):
            OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now(), settled_at=None)
            tasks.sweep()
        OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now())
        tasks.sweep()
    assert list(failed_tasks()) == [entry]
    assert failed_tasks().get().last_error == "StillThere"
    assert Erasure.objects.get().status == "pending"
    assert retry(failed_tasks(), actor=STAFF) == 1
    settle()
    assert Erasure.objects.get().status == "complete"
