"""Pinecone as an index: what a search sees, what is sent and purged, and what happens without it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from people import enrolment, erasure, identification, index_sync, outbox, tasks
from people.decision import unit
from people.errors import IndexUnavailable
from people.faces import Vectors
from people.failed_tasks import failed_tasks, retry
from people.identification import Identification
from people.indexes import forget_index, get_index, remote_index
from people.indexes.base import RemoteIndex, Space
from people.indexes.pinecone import MAX_WAITING, PineconeIndex, batch_size, namespace_of, space_of
from people.models import AuditEvent, Collection, Erasure, MeanTemplate, OutboxEntry, Person
from tests import fakes
from tests.actors import STAFF
from tests.pinecone_double import Double, pinecone_index

pytestmark = pytest.mark.slow  # a remote index shows what it was sent after a while


Enrol = Callable[..., Person]


@pytest.fixture(autouse=True)
def _uses_pinecone(settings: Any, pinecone: Double) -> None:
    settings.TEMPLATE_INDEX = pinecone_index(pinecone)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Send, confirm and purge as a worker would in a minute."""

    def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(index_sync, "SETTLE", timedelta(0))
            for _ in range(3):
                OutboxEntry.objects.filter(done_at=None).update(
                    due_at=timezone.now(), settled_at=timezone.now()
                )
                tasks.sweep()

    return run


def _space(collection: Collection) -> Space:
    return Space(collection.pk, "fake/1")


def _vectors(count: int, dimension: int) -> Vectors:
    return np.random.default_rng(1).standard_normal((count, dimension), np.float32)


def remote() -> RemoteIndex:
    index = remote_index()
    assert index is not None
    return index


def _identify(collection: Collection, seed: int, **options: Any) -> Identification:
    return identification.identify(fakes.photo(seed), collection=collection, actor=STAFF, **options)


def _people(result: Identification) -> list[str]:
    return [one.person.name for one in result.faces[0].candidates]


def test_a_person_is_found_before_and_after_pinecone_shows_them(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    enrolled(1)
    assert _people(_identify(collection, 1)) == ["Person 1"]
    tasks.sync_index()
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 1
    assert MeanTemplate.objects.get().indexed_at is None
    settled()
    assert MeanTemplate.objects.get().indexed_at is not None
    result = _identify(collection, 1)
    assert (_people(result), result.degraded) == (["Person 1"], False)


def test_only_opaque_ids_and_vectors_are_sent(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    person = enrolled(1, external_id="emp-17")
    settled()
    [(namespace, ids)] = pinecone.stored().items()
    assert space_of(namespace) == _space(collection)
    assert ids == {str(MeanTemplate.objects.get().vector_id)}
    assert str(person.pk) not in ids


@pytest.mark.slow
def test_answers_are_those_of_the_embedded_index(
    collection: Collection, enrolled: Enrol, settings: Any, settled: Callable[[], None]
) -> None:
    for seed in range(30):
        enrolled(seed, 1, 2)
    settled()
    remote = [_identify(collection, seed, include_below=True, max_candidates=10) for seed in range(40)]
    settings.TEMPLATE_INDEX = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
    for seed, ours in enumerate(remote):
        theirs = _identify(collection, seed, include_below=True, max_candidates=10)
        assert not ours.degraded
        assert _people(ours) == _people(theirs)
        assert ours.faces[0].decision == theirs.faces[0].decision
        cosines = [[one.score.cosine for one in result.faces[0].candidates] for result in (ours, theirs)]
        np.testing.assert_allclose(cosines[0], cosines[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("fault", ["down", "errors", "dropped", "lost", "slow"])
def test_without_pinecone_the_database_is_searched_exactly_and_the_answer_says_so(
    fault: str, collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    enrolled(1)
    enrolled(2)
    settled()
    setattr(pinecone.faults, fault, True if fault == "down" else 1.0)
    result = _identify(collection, 1)
    assert (_people(result), result.degraded) == (["Person 1"], True)


def test_after_repeated_failures_pinecone_is_not_called_for_a_while(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    enrolled(1)
    settled()
    pinecone.faults.down = True
    for _ in range(5):
        assert _identify(collection, 1).degraded
    before = dict(pinecone.requests)
    assert _identify(collection, 1).degraded
    assert pinecone.requests == before
    with pytest.raises(IndexUnavailable):
        get_index().check()


def test_without_its_control_plane_pinecone_is_searched_and_ready(
    client: Client, collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    enrolled(1)
    settled()
    pinecone.faults.control_down = True
    with ThreadPoolExecutor(5) as callers:  # as many as the control plane's breaker waits for
        failures = [callers.submit(lambda: list(remote().spaces())).exception for _ in range(5)]
        assert {type(failure()) for failure in failures} == {IndexUnavailable}
    result = _identify(collection, 1)
    assert (_people(result), result.degraded) == (["Person 1"], False)
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["index"]) == (200, "ok")
    assert pinecone.requests["/describe_index_stats"] == 1


def test_a_process_that_has_not_searched_yet_is_ready_with_an_index_and_without(
    client: Client, collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    assert client.get("/ready").json()["index"] == "ok"
    enrolled(1)
    settled()
    forget_index()
    assert client.get("/ready").json()["index"] == "ok"
    assert pinecone.requests["/describe_index_stats"] == 1


def test_without_pinecone_the_service_is_ready_and_says_that_it_is_degraded(
    client: Client, collection: Collection, pinecone: Double
) -> None:
    pinecone.faults.down = True
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["index"]) == (
        200,
        "degraded",
        "index_unavailable",
    )


def test_an_enrolment_succeeds_during_a_pinecone_outage_and_is_sent_later(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    pinecone.faults.down = True
    enrolled(1)
    tasks.sync_index()
    assert _people(_identify(collection, 1)) == ["Person 1"]
    pinecone.faults.down = False
    forget_index()  # the breaker's pause, passed
    MeanTemplate.objects.update(sent_at=timezone.now() - index_sync.RESEND)
    settled()
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 1


def test_an_erased_person_is_never_returned_although_pinecone_still_has_them(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    first, _ = enrolled(1), enrolled(2)
    settled()
    erasure.erase(first, actor=STAFF)
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 2
    assert _people(_identify(collection, 1, include_below=True)) == ["Person 2"]


@pytest.mark.slow
def test_more_candidates_are_fetched_when_many_are_erased_or_suspended(
    collection: Collection, enrolled: Enrol, settled: Callable[[], None]
) -> None:
    near = [enrolled(1, variation) for variation in range(1, 61)]
    enrolled(2)
    settled()
    for person in near[:40]:
        erasure.erase(person, actor=STAFF)
    Person.objects.filter(pk__in=[person.pk for person in near[40:]]).update(status="suspended")
    result = _identify(collection, 1, include_below=True)
    assert (_people(result), result.degraded) == (["Person 2"], False)


def test_a_receipt_is_complete_only_when_the_vector_is_verified_gone(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    person = enrolled(1, 1, 2)
    settled()
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
    settled()
    receipt.refresh_from_db()
    # the mean of the first photo alone was replaced, and never sent
    assert (receipt.status, receipt.files_purged, receipt.vectors_purged) == ("complete", 2, 1)
    assert receipt.completed_at is not None
    assert receipt.backups_expire_at > receipt.completed_at
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 1


def test_a_replaced_vector_is_purged_and_counted_on_the_receipt_of_a_later_erasure(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    person = enrolled(1, 1)
    settled()
    photo = enrolment.submit(person, fakes.photo(1, variation=2), actor=STAFF).photo
    enrolment.enrol(photo.pk)
    tasks.sync_index()
    receipt = erasure.erase(person, actor=STAFF)
    settled()
    receipt.refresh_from_db()
    assert (receipt.status, receipt.vectors_purged) == ("complete", 2)
    assert pinecone.stored() == {}


def test_a_write_that_arrives_after_the_purge_is_purged_again(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    person = enrolled(1)
    settled()
    vector_id = MeanTemplate.objects.get().vector_id
    MeanTemplate.objects.update(sent_at=timezone.now())  # sent again this moment, still on its way
    erasure.erase(person, actor=STAFF)
    tasks.sweep()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "pending"
    pinecone.write("facerec-64", namespace_of(_space(collection)), {str(vector_id): np.ones(64)})
    settled()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "complete"


def test_a_purge_that_keeps_failing_becomes_a_failed_task_that_can_be_retried(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settled: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = enrolled(1)
    settled()
    erasure.erase(person, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.PURGE_VECTOR)
    with monkeypatch.context() as patch:
        # deleted, and found again each time
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
    settled()
    assert Erasure.objects.get().status == "complete"


def test_what_was_deleted_before_it_was_sent_is_not_sent(
    collection: Collection, enrolled: Enrol, pinecone: Double
) -> None:
    erasure.erase(enrolled(1), actor=STAFF)
    tasks.sweep()
    assert pinecone.stored() == {}
    assert Erasure.objects.get().status == "complete"


@pytest.mark.parametrize("tells_positions", [True, False])
def test_a_vector_counts_as_seen_only_when_a_search_shows_it(
    tells_positions: bool,
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_sync, "SETTLE", timedelta(0))
    pinecone.faults.tells_positions = tells_positions
    enrolled(1)
    pinecone.faults.lag = 3600.0
    monkeypatch.setattr(pinecone._random, "uniform", lambda low, high: high)
    index_sync.sync()
    index_sync.sync()
    assert MeanTemplate.objects.get().indexed_at is None
    pinecone.faults.lag = 0.0
    index_sync.sync()
    assert MeanTemplate.objects.get().indexed_at is not None


def test_what_was_lost_on_the_way_is_sent_again(
    collection: Collection, enrolled: Enrol, pinecone: Double, settled: Callable[[], None]
) -> None:
    enrolled(1)
    MeanTemplate.objects.update(sent_at=timezone.now() - index_sync.RESEND)
    settled()
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 1


@pytest.mark.parametrize("dimension", [64, 128, 512, 4096])
@pytest.mark.slow
def test_batches_stay_within_pinecone_s_limits(
    dimension: int, collection: Collection, pinecone: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("CONNECTION_SECONDS", "WRITE_SECONDS"):  # reading much takes the double long
        monkeypatch.setattr(f"people.indexes.pinecone.{limit}", 120.0)
    index = remote_index()
    assert index is not None
    vectors = unit(_vectors(2 * batch_size(dimension) + 1, dimension))
    sent = {uuid4(): -np.abs(vector) for vector in vectors}
    index.send(_space(collection), sent)
    assert pinecone.requests["/vectors/upsert"] == 3
    assert index.held(_space(collection), list(sent)) == set(sent)
    index.remove(_space(collection), list(sent))
    assert pinecone.stored() == {}


def test_a_long_queue_is_searched_by_the_exact_index(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_WAITING > 1
    monkeypatch.setattr("people.indexes.pinecone.MAX_WAITING", 1)
    enrolled(1)
    enrolled(2)
    result = _identify(collection, 2)
    assert (_people(result), result.degraded) == (["Person 2"], False)


def test_the_audit_finds_nothing_when_nothing_is_wrong(
    collection: Collection, enrolled: Enrol, settled: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        enrolled(seed)
    settled()
    enrolled(4)
    call_command("audit_index")
    assert "expected: 3. Being sent or purged: 1." in capsys.readouterr().out


@pytest.mark.slow
def test_the_audit_reports_drift_and_repairs_it(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settled: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for seed in range(110):
        enrolled(seed)
    settled()
    namespace = namespace_of(_space(collection))
    lost = sorted(pinecone.stored()[namespace])[:5]
    pinecone.write("facerec-64", namespace, dict.fromkeys(lost))
    pinecone.write("facerec-64", namespace, {str(uuid4()): np.ones(64)})
    pinecone.write("facerec-64", namespace_of(Space(uuid4(), "fake/1")), {str(uuid4()): np.ones(64)})
    with pytest.raises(CommandError, match="--repair"):
        call_command("audit_index")
    assert "Missing from the index: 5. Extra in the index: 2." in capsys.readouterr().out
    call_command("audit_index", "--repair")
    event = AuditEvent.objects.get(action="index.repaired")
    assert (event.actor, event.details) == ("system:command", {"missing": 5, "extra": 2})
    settled()
    call_command("audit_index", "--repair")
    assert AuditEvent.objects.filter(action="index.repaired").count() == 1  # nothing differed
    assert "expected: 110. Being sent or purged: 0." in capsys.readouterr().out
    ids = MeanTemplate.objects.values_list("vector_id", flat=True)
    assert pinecone.stored() == {namespace: {str(pk) for pk in ids}}


def test_a_repair_retries_failed_purges_and_records_it_in_the_audit_log(
    collection: Collection, pinecone: Double
) -> None:
    entry = OutboxEntry.objects.create(
        topic=OutboxEntry.Topic.PURGE_VECTOR,
        vector_id=uuid4(),
        collection_id=collection.pk,
        engine="fake/1",
        due_at=timezone.now(),
        attempts=outbox.MAX_ATTEMPTS,
    )
    with pytest.raises(CommandError, match="--repair"):
        call_command("audit_index")
    call_command("audit_index", "--repair")
    entry.refresh_from_db()
    assert entry.attempts == 0
    event = AuditEvent.objects.get(action="outbox.retried")
    assert (event.actor, event.details) == ("system:command", {"entries": 1})


def test_auditing_an_unavailable_index_fails_with_its_own_exit_code(
    collection: Collection, pinecone: Double
) -> None:
    pinecone.faults.down = True
    with pytest.raises(CommandError, match="unavailable") as failure:
        call_command("audit_index")
    assert failure.value.returncode == 2


def test_the_scheduled_audit_logs_drift_as_an_error(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settled: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrolled(1)
    settled()
    pinecone.write("facerec-64", namespace_of(_space(collection)), dict.fromkeys(
        pinecone.stored()[namespace_of(_space(collection))]
    ))  # fmt: skip
    tasks.audit_index()
    assert "1 missing, 0 extra" in caplog.text


def test_a_collection_filled_under_the_embedded_index_is_found_at_once_and_sent(
    collection: Collection, enrolled: Enrol, pinecone: Double, settings: Any, settled: Callable[[], None]
) -> None:
    ours = settings.TEMPLATE_INDEX
    settings.TEMPLATE_INDEX = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
    enrolled(1)
    settings.TEMPLATE_INDEX = ours
    assert _people(_identify(collection, 1)) == ["Person 1"]
    settled()
    assert len(pinecone.stored()[namespace_of(_space(collection))]) == 1


@pytest.fixture
def live() -> PineconeIndex:
    key = os.environ.get("PINECONE_API_KEY")
    if not key:
        pytest.skip("needs a Pinecone account: set PINECONE_API_KEY, and --allow-hosts for its hosts")
    return PineconeIndex(api_key=key, name="facerec-test", cloud="aws", region="us-east-1")


def test_the_real_pinecone_does_what_the_double_does(live: PineconeIndex) -> None:
    space, vectors = Space(uuid4(), "live/1"), unit(_vectors(5, 64))
    sent = {uuid4(): vector for vector in vectors}
    try:
        for _ in range(60):
            try:
                position = live.send(space, sent)
                break
            except IndexUnavailable:
                time.sleep(2)
        pk, vector = next(iter(sent.items()))
        while not live.searchable(space, pk, vector, position):
            time.sleep(1)
        while live.held(space, list(sent)) != set(sent):
            time.sleep(1)
        live.remove(space, list(sent))
        while live.held(space, list(sent)):
            time.sleep(1)
    finally:
        live.drop(space)
