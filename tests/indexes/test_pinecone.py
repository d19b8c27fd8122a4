"""Searches with Pinecone, with and without outages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from people import erasure, identification, index_sync, tasks
from people.decision import unit
from people.errors import IndexUnavailable
from people.faces import Vectors
from people.identification import Identification
from people.indexes import forget_index, get_index, remote_index
from people.indexes.base import RemoteIndex, Space
from people.indexes.pinecone import MAX_WAITING, PineconeIndex, batch_size
from people.models import Collection, MeanTemplate, Person
from tests import fakes
from tests.actors import STAFF
from tests.pinecone_double import Double

pytestmark = [
    pytest.mark.slow,  # a remote index returns a vector some time after it was sent
    pytest.mark.usefixtures("pinecone_in_use"),
]
Enrol = Callable[..., Person]


def _vectors(count: int, dimension: int) -> Vectors:
    return np.random.default_rng(1).standard_normal((count, dimension), np.float32)


def remote() -> RemoteIndex:
    index = remote_index()
    assert index is not None
    return index


def _identify(collection: Collection, seed: int, **options: Any) -> Identification:
    return identification.identify(fakes.photo(seed), collection=collection, actor=STAFF, **options)


def _names(result: Identification) -> list[str]:
    return [candidate.person.name for candidate in result.faces[0].candidates]


def test_a_person_matches_before_and_after_pinecone_returns_their_vector(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    enrolled(1)
    assert _names(_identify(collection, 1)) == ["Person 1"]
    tasks.sync_index()
    assert len(pinecone.stored()[namespace]) == 1
    assert MeanTemplate.objects.get().indexed_at is None
    settle()
    assert MeanTemplate.objects.get().indexed_at is not None
    result = _identify(collection, 1)
    assert (_names(result), result.degraded) == (["Person 1"], False)


def test_results_equal_those_of_the_in_memory_index(
    collection: Collection, enrolled: Enrol, settings: Any, settle: Callable[[], None]
) -> None:
    for seed in range(30):
        enrolled(seed, 1, 2)
    settle()
    remote_results = [
        _identify(collection, seed, include_below=True, max_candidates=10) for seed in range(40)
    ]
    settings.TEMPLATE_INDEX = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
    for seed, remote_result in enumerate(remote_results):
        local_result = _identify(collection, seed, include_below=True, max_candidates=10)
        assert not remote_result.degraded
        assert _names(remote_result) == _names(local_result)
        assert remote_result.faces[0].decision == local_result.faces[0].decision
        remote_cosines, local_cosines = (
            [candidate.score.cosine for candidate in result.faces[0].candidates]
            for result in (remote_result, local_result)
        )
        np.testing.assert_allclose(remote_cosines, local_cosines, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fault", ["down", "errors", "dropped", "lost", "slow"])
def test_during_a_pinecone_outage_the_in_memory_index_is_searched_and_the_result_is_marked_degraded(
    fault: str, collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None]
) -> None:
    enrolled(1)
    enrolled(2)
    settle()
    setattr(pinecone.faults, fault, True if fault == "down" else 1.0)
    result = _identify(collection, 1)
    assert (_names(result), result.degraded) == (["Person 1"], True)


def test_after_repeated_failures_pinecone_is_not_called_for_a_while(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None]
) -> None:
    enrolled(1)
    settle()
    pinecone.faults.down = True
    for _ in range(5):
        assert _identify(collection, 1).degraded
    before = dict(pinecone.requests)
    assert _identify(collection, 1).degraded
    assert pinecone.requests == before
    with pytest.raises(IndexUnavailable):
        get_index().check()


def test_pinecone_is_searched_and_ready_during_an_outage_of_its_control_plane(
    client: Client, collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None]
) -> None:
    enrolled(1)
    settle()
    pinecone.faults.control_down = True
    with ThreadPoolExecutor(5) as callers:  # the number of failures after which the breaker refuses calls
        failures = [callers.submit(lambda: list(remote().spaces())).exception for _ in range(5)]
        assert {type(failure()) for failure in failures} == {IndexUnavailable}
    result = _identify(collection, 1)
    assert (_names(result), result.degraded) == (["Person 1"], False)
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["index"]) == (200, "ok")
    assert pinecone.requests["/describe_index_stats"] == 1


def test_a_process_that_has_not_searched_yet_is_ready_whether_or_not_an_index_exists(
    client: Client, collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None]
) -> None:
    assert client.get("/ready").json()["index"] == "ok"
    enrolled(1)
    settle()
    forget_index()
    assert client.get("/ready").json()["index"] == "ok"
    assert pinecone.requests["/describe_index_stats"] == 1


def test_during_a_pinecone_outage_the_service_is_ready_but_degraded(
    client: Client, collection: Collection, pinecone: Double
) -> None:
    pinecone.faults.down = True
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["index"]) == (
        200,
        "degraded",
        "index_unavailable",
    )


def test_a_person_enrolled_during_a_pinecone_outage_matches_and_is_sent_later(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    pinecone.faults.down = True
    enrolled(1)
    tasks.sync_index()
    assert _names(_identify(collection, 1)) == ["Person 1"]
    pinecone.faults.down = False
    forget_index()  # with it, the circuit breaker's pause
    MeanTemplate.objects.update(sent_at=timezone.now() - index_sync.RESEND)
    settle()
    assert len(pinecone.stored()[namespace]) == 1


def test_an_erased_person_is_never_returned_even_if_pinecone_still_has_their_vector(
    collection: Collection, enrolled: Enrol, pinecone: Double, settle: Callable[[], None], namespace: str
) -> None:
    first, _ = enrolled(1), enrolled(2)
    settle()
    erasure.erase(first, actor=STAFF)
    assert len(pinecone.stored()[namespace]) == 2
    assert _names(_identify(collection, 1, include_below=True)) == ["Person 2"]


def test_more_candidates_are_requested_if_many_are_erased_or_suspended(
    collection: Collection, enrolled: Enrol, settle: Callable[[], None]
) -> None:
    similar_people = [enrolled(1, variation) for variation in range(1, 61)]
    enrolled(2)
    settle()
    for person in similar_people[:40]:
        erasure.erase(person, actor=STAFF)
    suspended_ids = [person.pk for person in similar_people[40:]]
    Person.objects.filter(pk__in=suspended_ids).update(status="suspended")
    result = _identify(collection, 1, include_below=True)
    assert (_names(result), result.degraded) == (["Person 2"], False)


@pytest.mark.parametrize("dimension", [64, 128, 512, 4096])
def test_batches_stay_within_pinecone_s_limits(
    dimension: int, collection: Collection, pinecone: Double, monkeypatch: pytest.MonkeyPatch, space: Space
) -> None:
    for limit in ("CONNECTION_SECONDS", "WRITE_SECONDS"):  # the double needs long to read large requests
        monkeypatch.setattr(f"people.indexes.pinecone.{limit}", 120.0)
    index = remote_index()
    assert index is not None
    vectors = unit(_vectors(2 * batch_size(dimension) + 1, dimension))
    sent = {uuid4(): -np.abs(vector) for vector in vectors}
    index.send(space, sent)
    assert pinecone.requests["/vectors/upsert"] == 3
    assert index.held(space, list(sent)) == set(sent)
    index.remove(space, list(sent))
    assert pinecone.stored() == {}


def test_the_in_memory_index_is_searched_while_too_many_vectors_are_unconfirmed(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_WAITING > 1
    monkeypatch.setattr("people.indexes.pinecone.MAX_WAITING", 1)
    enrolled(1)
    enrolled(2)
    result = _identify(collection, 2)
    assert (_names(result), result.degraded) == (["Person 2"], False)


def test_people_enrolled_with_the_in_memory_index_match_immediately_and_are_sent_to_pinecone(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settings: Any,
    settle: Callable[[], None],
    namespace: str,
) -> None:
    pinecone_setting = settings.TEMPLATE_INDEX
    settings.TEMPLATE_INDEX = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
    enrolled(1)
    settings.TEMPLATE_INDEX = pinecone_setting
    assert _names(_identify(collection, 1)) == ["Person 1"]
    settle()
    assert len(pinecone.stored()[namespace]) == 1


@pytest.fixture
def live() -> PineconeIndex:
    key = os.environ.get("PINECONE_API_KEY")
    if not key:
        pytest.skip("needs a Pinecone account: set PINECONE_API_KEY, and --allow-hosts for its hosts")
    return PineconeIndex(api_key=key, name="facerec-test", cloud="aws", region="us-east-1")


def test_the_real_pinecone_behaves_like_the_double(live: PineconeIndex) -> None:
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
