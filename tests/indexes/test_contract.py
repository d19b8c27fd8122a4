"""The contract of every template index; every backend runs all of these tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection, transaction

from people import identification, index_sync, mean_templates, outbox, tasks
from people.decision import unit
from people.indexes import forget_index, get_index
from people.indexes.base import TemplateIndex
from people.models import Collection, MeanTemplate, OutboxEntry, Person
from tests.pinecone_double import pinecone_index
from tests.times import ago

pytestmark = pytest.mark.slow  # a remote index returns a vector some time after it was sent


BACKENDS = ["embedded", "pinecone, confirmed", "pinecone, unsent", "pinecone, down"]
ENGINE = "fake/1"
Put = Callable[..., Person]


@pytest.fixture(params=BACKENDS)
def index(request: pytest.FixtureRequest, settings: Any, db: None) -> TemplateIndex:
    settings.TEMPLATE_INDEX = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
    if request.param.startswith("pinecone"):
        double = request.getfixturevalue("pinecone")
        double.faults.down = request.param.endswith("down")
        settings.TEMPLATE_INDEX = pinecone_index(double)
    return get_index()


@pytest.fixture
def put(request: pytest.FixtureRequest, collection: Collection, monkeypatch: pytest.MonkeyPatch) -> Put:
    monkeypatch.setattr(index_sync, "SETTLE", timedelta(0))
    confirmed = "confirmed" in request.node.callspec.id

    def put(vector: np.ndarray, person: Person | None = None, into: Collection = collection) -> Person:
        with transaction.atomic():
            person = person or Person.objects.create(collection=into)
            mean_templates.store(person, ENGINE, vector, 1)
            outbox.person_changed(person.pk)
        if confirmed:
            index_sync.sync()
            index_sync.sync()
            assert not MeanTemplate.objects.filter(indexed_at=None).exists()
        return person

    return put


def _vectors(count: int, seed: int = 0, dimension: int = 64) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32))


def _nearest(
    index: TemplateIndex, probes: np.ndarray, collection: Collection, limit: int = 5
) -> list[list[Any]]:
    return index.nearest(probes, collection_id=collection.pk, engine=ENGINE, limit=limit).persons


def test_everyone_whom_a_brute_force_search_returns_is_proposed(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    vectors, probes = _vectors(200), _vectors(20, seed=1)
    people = [put(vector).pk for vector in vectors]
    cosines = probes @ vectors.T
    proposed = _nearest(index, probes, collection, limit=5 + identification.SPARE)
    for person_ids, probe_cosines in zip(proposed, cosines, strict=True):
        assert set(person_ids) >= {people[i] for i in np.argsort(-probe_cosines)[:5]}
        # nearest first, except that people with almost equal scores may swap places
        scores = [float(probe_cosines[people.index(pk)]) for pk in person_ids]
        assert scores == pytest.approx(sorted(scores, reverse=True), abs=0.02)


def test_everyone_is_proposed_if_there_are_fewer_people_than_requested(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    person = put(_vectors(1)[0])
    assert _nearest(index, _vectors(2), collection, limit=10) == [[person.pk], [person.pk]]


def test_an_empty_or_unknown_collection_has_no_proposals(
    index: TemplateIndex, collection: Collection
) -> None:
    assert _nearest(index, _vectors(2), collection) == [[], []]
    assert index.nearest(_vectors(1), collection_id=uuid4(), engine=ENGINE, limit=3).persons == [[]]


def test_a_search_without_probes_returns_nothing(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    put(_vectors(1)[0])
    assert _nearest(index, _vectors(0), collection) == []


def test_a_changed_template_replaces_the_old_one(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    old, new, unchanged = _vectors(3)
    changed_person, unchanged_person = put(old), put(unchanged)
    assert _nearest(index, old[None], collection, 1) == [[changed_person.pk]]
    put(new, changed_person)
    assert _nearest(index, new[None], collection, 1) == [[changed_person.pk]]
    assert set(_nearest(index, old[None], collection, 5)[0]) == {changed_person.pk, unchanged_person.pk}


def test_a_removed_person_is_no_longer_proposed_but_everyone_else_is(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    vectors = _vectors(30)
    people = [put(vector) for vector in vectors]
    _nearest(index, vectors, collection)
    for person in people[::3]:
        mean_templates.drop(MeanTemplate.objects.filter(person=person))
        outbox.person_changed(person.pk)
    remaining = [number for number in range(30) if number % 3]
    assert _nearest(index, vectors[remaining], collection, 1) == [[people[number].pk] for number in remaining]
    proposed = {pk for row in _nearest(index, vectors, collection, 30) for pk in row}
    assert proposed == {people[number].pk for number in remaining}


def test_a_suspended_person_is_not_proposed(index: TemplateIndex, put: Put, collection: Collection) -> None:
    person = put(_vectors(1)[0])
    _nearest(index, _vectors(1), collection)
    Person.objects.filter(pk=person.pk).update(status="suspended")
    outbox.person_changed(person.pk)
    assert _nearest(index, _vectors(1), collection) == [[]]


def test_a_search_returns_only_people_of_its_collection_and_engine(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    second_collection = Collection.objects.create(name="second")
    person, person_in_second = put(_vectors(1)[0]), put(_vectors(1)[0], into=second_collection)
    assert _nearest(index, _vectors(1), collection) == [[person.pk]]
    assert _nearest(index, _vectors(1), second_collection) == [[person_in_second.pk]]
    assert index.nearest(_vectors(1), collection_id=collection.pk, engine="fake/2", limit=3).persons == [[]]


def test_every_process_sees_the_changes_of_the_others(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    person = put(_vectors(1)[0])
    assert _nearest(index, _vectors(1), collection) == [[person.pk]]
    forget_index()
    second = get_index()
    assert second is not index
    assert _nearest(second, _vectors(1), collection) == [[person.pk]]
    added = put(_vectors(2)[1])
    assert set(_nearest(index, _vectors(1), collection)[0]) == {person.pk, added.pk}
    assert set(_nearest(second, _vectors(1), collection)[0]) == {person.pk, added.pk}


def test_a_database_restored_to_an_earlier_state_is_read_again(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    first = put(_vectors(2)[0])
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
    put(_vectors(2)[1])
    assert len(_nearest(index, _vectors(1), collection)[0]) == 2
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK TO before")
    assert _nearest(index, _vectors(1), collection) == [[first.pk]]


def test_an_index_that_was_idle_while_the_change_log_was_pruned_sees_every_change(
    index: TemplateIndex, put: Put, collection: Collection
) -> None:
    vectors = _vectors(5)
    people = [put(vector) for vector in vectors[:3]]
    assert _nearest(index, vectors[:3], collection, 1) == [[person.pk] for person in people]
    # while the index is idle, one person is removed, one is changed and one is added
    mean_templates.drop(MeanTemplate.objects.filter(person=people[0]))
    outbox.person_changed(people[0].pk)
    put(vectors[3], people[1])
    OutboxEntry.objects.update(done_at=ago(days=8))
    added = put(vectors[4])
    tasks.prune_outbox()
    assert OutboxEntry.objects.count() == 1
    assert _nearest(index, vectors[[2, 3, 4]], collection, 1) == [
        [people[2].pk],
        [people[1].pk],
        [added.pk],
    ]
    assert people[0].pk not in _nearest(index, vectors[:1], collection, 5)[0]
