"""Moving to another engine: creating its templates, comparing, switching, rolling back, discarding."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from people import enrolment, erasure, identification, index_sync, reembedding, tasks
from people.active_engine import State, active_engine
from people.engines import engine_id, engine_named
from people.errors import Conflict
from people.models import Collection, EngineVersion, MeanTemplate, OutboxEntry, Person, Photo, Template
from tests import fakes
from tests.actors import STAFF
from tests.pinecone_double import Double, pinecone_index

Enrol = Callable[..., Person]
OTHER = "tests.fakes.OtherFakeEngine"


def _run(*options: str) -> str:
    out = StringIO()
    call_command("reembed", *options, stdout=out)
    return out.getvalue()


def _identify(collection: Collection, seed: int) -> tuple[str, list[Any]]:
    result = identification.identify(fakes.photo(seed, variation=9), collection=collection, actor=STAFF)
    return result.photo.engine, [candidate.person.pk for candidate in result.faces[0].candidates]


def test_after_the_switch_everyone_matches_with_the_new_engine_under_the_same_ids(
    collection: Collection, enrolled: Enrol
) -> None:
    people = [enrolled(seed, 1, 2) for seed in range(5)]
    photos = set(Photo.objects.values_list("pk", flat=True))
    output = _run("--engine", OTHER)
    # 10 templates, in no photo an unusable face; 10 photos of both engines, 0 of either only; 10 searches
    numbers = ["10", "0", "10", "0", "0", "10", "100.00%", "100.00%", "100.00%"]
    assert re.findall(r"(?<![\w/.])\d+(?:\.\d+%)?", output) == numbers
    agreement = reembedding.agreement("fake/1", "other-fake/3")
    assert (agreement.photos, agreement.only_old, agreement.only_new) == (10, 0, 0)
    assert agreement.searched == agreement.same_person == agreement.right_old == agreement.right_new == 10
    assert _identify(collection, 0) == ("fake/1", [people[0].pk])
    _run("--switch")
    assert [_identify(collection, seed) for seed in range(5)] == [
        ("other-fake/3", [person.pk]) for person in people
    ]
    assert set(Photo.objects.values_list("pk", flat=True)) == photos
    _run("--rollback")
    assert _identify(collection, 1) == ("fake/1", [people[1].pk])


def test_an_interrupted_run_resumes_where_it_stopped(collection: Collection, enrolled: Enrol) -> None:
    for seed in range(6):
        enrolled(seed)
    version = reembedding.begin(OTHER, actor=STAFF)
    fill = reembedding.fill(version)
    assert [next(fill)[1], next(fill)[1]] == [True, True]
    assert isinstance(fill, Generator)
    fill.close()
    templates = Template.objects.filter(engine="other-fake/3")
    made_before = set(templates.values_list("pk", flat=True))
    assert (len(made_before), reembedding.missing(version).count()) == (2, 4)
    _run("--engine", OTHER)
    assert made_before < set(templates.values_list("pk", flat=True))
    assert templates.count() == 6


def test_people_enrolled_before_and_after_the_switch_match_with_both_engines(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1)
    _run("--engine", OTHER)
    second = enrolled(2)
    _run("--switch")
    third = enrolled(3)
    assert [_identify(collection, 2)[1], _identify(collection, 3)[1]] == [[second.pk], [third.pk]]
    _run("--rollback")
    assert [_identify(collection, 2)[1], _identify(collection, 3)[1]] == [[second.pk], [third.pk]]


def test_a_switch_is_rejected_while_photos_have_no_template_of_the_engine(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1)
    reembedding.begin(OTHER, actor=STAFF)
    with pytest.raises(CommandError, match=r"other-fake/3: 1\b.*--incomplete"):
        _run("--switch")
    assert engine_id(active_engine()) == "fake/1"
    _run("--switch", "--incomplete")
    assert engine_id(active_engine()) == "other-fake/3"


def test_the_old_engine_is_discarded_with_its_templates_but_the_active_one_cannot_be(
    collection: Collection, enrolled: Enrol
) -> None:
    person = enrolled(1, 1, 2)
    _run("--engine", OTHER)
    with pytest.raises(Conflict):
        reembedding.discard(EngineVersion.objects.get(state=State.ACTIVE), actor=STAFF)
    _run("--switch")
    assert "fake/1 and its 2 " in _run("--discard")
    assert set(Template.objects.values_list("engine", flat=True)) == {"other-fake/3"}
    assert set(MeanTemplate.objects.values_list("engine", flat=True)) == {"other-fake/3"}
    assert _identify(collection, 1) == ("other-fake/3", [person.pk])
    assert "other-fake/3: active, 0 " in _run("--status")
    with pytest.raises(CommandError, match="--engine"):
        _run("--rollback")


def test_a_remote_index_has_a_space_for_each_engine_until_one_is_discarded(
    collection: Collection, enrolled: Enrol, pinecone: Double, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TEMPLATE_INDEX = pinecone_index(pinecone)
    monkeypatch.setattr(index_sync, "SETTLE", timedelta(0))
    person = enrolled(1)
    _run("--engine", OTHER)
    for _ in range(4):
        tasks.sync_index()
    assert {name.partition(".")[2] for name in pinecone.stored()} == {"fake/1", "other-fake/3"}
    _run("--switch")
    assert _identify(collection, 1) == ("other-fake/3", [person.pk])
    _run("--discard")
    OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now(), settled_at=None)
    tasks.sweep()
    assert {name.partition(".")[2] for name in pinecone.stored()} == {"other-fake/3"}


def test_an_erased_person_gets_no_template_of_the_new_engine(collection: Collection, enrolled: Enrol) -> None:
    person = enrolled(1)
    version = reembedding.begin(OTHER, actor=STAFF)
    photo = Photo.objects.get()
    erasure.erase(person, actor=STAFF)
    assert not enrolment.add_template(photo.pk, engine_named(version.backend))
    assert not Template.objects.exists()


def test_the_active_engine_and_an_unknown_one_are_rejected(collection: Collection, enrolled: Enrol) -> None:
    with pytest.raises(Conflict):
        reembedding.begin("tests.fakes.FakeEngine", actor=STAFF)
    with pytest.raises(CommandError, match="fake/1"):
        _run("--engine", "tests.fakes.FakeEngine")
    reembedding.begin(OTHER, actor=STAFF)
    with pytest.raises(CommandError, match=r"nowhere\.Engine"):
        _run("--engine", "nowhere.Engine")
