"""Retention rules, and the erasure of the people who are due."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from people import broker, erasure, identification, retention, tasks
from people.models import Collection, Erasure, Person, Photo
from tests import fakes
from tests.actors import STAFF
from tests.photo_records import photograph
from tests.stored_files import stored_files
from tests.times import ago

Enrol = Callable[..., Person]


@pytest.fixture
def strict(collection: Collection) -> Collection:
    """A collection with both rules."""
    collection.erase_without_consent = True
    collection.erase_unseen_after_days = 30
    collection.save()
    return collection


def person(collection: Collection, **fields: Any) -> Person:
    """Create a person who is not due under any rule, except as `fields` say."""
    values = {"consent_given_at": ago(days=400), **fields}
    created = Person.objects.create(collection=collection)
    Person.objects.filter(pk=created.pk).update(**values)
    created.refresh_from_db()
    return created


def without_consent(collection: Collection, *, days_ago: float = 2) -> Person:
    created = person(collection, consent_given_at=None)
    photograph(created, days_ago=days_ago)
    return created


def due(collection: Collection) -> dict[Any, str]:
    return {due_person.person_id: due_person.rule for due_person in retention.due(collection)}


def test_each_rule_applies_to_the_people_who_meet_its_condition(strict: Collection) -> None:
    person(strict)
    person(strict, consent_expires_at=ago(hours=23))
    person(strict, consent_expires_at=ago(days=-1))
    person(strict, consent_given_at=None, created_at=ago(days=20))  # no photo yet
    without_consent(strict, days_ago=0.9)
    person(strict, consent_given_at=ago(days=-14))  # consent starts in the future
    person(strict, last_interaction_at=ago(days=29))
    expired = person(strict, consent_expires_at=ago(hours=25))
    missing = without_consent(strict, days_ago=1.1)
    unseen = person(strict, last_interaction_at=ago(days=31))
    suspended = person(strict, last_interaction_at=ago(days=31), status="suspended")
    both = person(strict, consent_expires_at=ago(days=2), last_interaction_at=ago(days=31))
    assert due(strict) == {
        expired.pk: "consent_expired", both.pk: "consent_expired", missing.pk: "consent_missing",
        unseen.pk: "unseen", suspended.pk: "unseen",
    }  # fmt: skip
    since = {due_person.person_id: due_person.since for due_person in retention.due(strict)}
    assert since[expired.pk] == expired.consent_expires_at
    assert since[missing.pk] == missing.photos.get().created_at
    assert since[unseen.pk] == unseen.last_interaction_at


def test_each_collection_has_its_own_rules(strict: Collection) -> None:
    lax = Collection.objects.create(name="lax")
    unseen_only = Collection.objects.create(name="unseen", erase_unseen_after_days=365)
    for collection in (strict, lax, unseen_only):
        person(collection, last_interaction_at=ago(days=40))
    assert [len(due(collection)) for collection in (strict, lax, unseen_only)] == [1, 0, 0]


def test_everyone_due_is_listed_once_across_several_chunks(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_CHUNK", 2)
    people = {person(strict, last_interaction_at=ago(days=31)).pk for _ in range(5)}
    listed = [due_person.person_id for due_person in retention.due(strict)]
    assert (len(listed), set(listed)) == (5, people)


def test_a_person_who_is_due_is_erased_and_the_receipt_names_the_rule(
    strict: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    erased, kept = enrolled(1, consent_given_at=ago(days=9)), enrolled(2, consent_given_at=ago(days=9))
    Person.objects.filter(pk=erased.pk).update(last_interaction_at=ago(days=31))
    tasks.apply_retention()
    assert list(Person.objects.all()) == [kept]
    receipt = Erasure.objects.get()
    assert (receipt.person_id, receipt.reason, receipt.requested_by) == (
        erased.pk,
        "unseen",
        "system:retention",
    )
    work()
    assert stored_files() == [Photo.objects.get().file.name]
    result = identification.identify(fakes.photo(1), collection=strict, actor=STAFF)
    assert result.faces[0].candidates == []


@pytest.mark.parametrize("change", ["consent renewed", "matched", "rule turned off", "erased"])
def test_a_change_before_the_person_is_locked_prevents_the_erasure(
    strict: Collection, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    rule = "unseen" if change == "matched" else "consent_expired"
    field = "last_interaction_at" if change == "matched" else "consent_expires_at"
    due_person = person(strict, **{field: ago(days=31)})
    changes: dict[str, Callable[[], Any]] = {
        "consent renewed": lambda: Person.objects.update(consent_expires_at=ago(days=-365)),
        "matched": Person.objects.get(pk=due_person.pk).touch,
        "rule turned off": lambda: Collection.objects.update(erase_without_consent=False),
        "erased": lambda: erasure.erase(due_person, actor=STAFF),
    }
    lock = Person.lock_all_records

    def change_first(person_id: Any) -> list[Person]:
        monkeypatch.setattr(Person, "lock_all_records", lock)
        changes[change]()
        return lock(person_id)

    assert due(strict) == {due_person.pk: rule}
    monkeypatch.setattr(Person, "lock_all_records", change_first)
    assert list(retention.apply(strict, actor=STAFF)) == []
    assert Person.objects.exists() == (change != "erased")


def test_an_interrupted_run_is_resumed_by_the_next_one(strict: Collection) -> None:
    for _ in range(3):
        without_consent(strict)
    run = retention.apply(strict, actor=STAFF)
    next(run)
    assert isinstance(run, Generator)
    run.close()
    assert Erasure.objects.count() == 1
    assert len(list(retention.apply(strict, actor=STAFF))) == 2


def test_a_run_stops_at_its_time_limit_and_schedules_another_run(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        without_consent(strict)
    sent_tasks: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: sent_tasks.append(name))
    monkeypatch.setattr(tasks, "SECONDS", -1)
    remaining = []
    for _ in range(3):
        tasks.apply_retention()
        remaining.append(Person.objects.count())
    assert remaining == [2, 1, 0]
    assert sent_tasks == ["people.tasks.apply_retention"] * 3


def test_a_run_that_cannot_schedule_another_run_does_not_fail(
    strict: Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_consent(strict)
    monkeypatch.setattr(broker, "_next_try", 0.0)

    def fail_to_connect(*args: Any, **options: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(current_app, "send_task", fail_to_connect)
    monkeypatch.setattr(tasks, "SECONDS", -1)
    tasks.apply_retention()
    assert not Person.objects.exists()
    assert any(record.name == "people.broker" for record in caplog.records)


def test_the_others_are_erased_even_if_one_person_cannot_be(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [without_consent(strict) for _ in range(3)]
    stuck = sorted(people, key=lambda person: person.pk)[0]
    erase = erasure.erase

    def fail_for_one(person: Person, **options: Any) -> Erasure:
        if person.pk == stuck.pk:
            raise DatabaseError
        return erase(person, **options)

    monkeypatch.setattr(erasure, "erase", fail_for_one)
    with pytest.raises(CommandError, match=r": 1\b"):
        call_command("apply_retention", stdout=StringIO())
    assert list(Person.objects.all()) == [stuck]


def test_a_dry_run_lists_ids_and_counts_and_erases_no_one(strict: Collection) -> None:
    Collection.objects.create(name="lax")
    expired = person(strict, consent_expires_at=ago(days=2), name="Ada")
    unseen = person(strict, last_interaction_at=ago(days=31), name="Bob")
    out = StringIO()
    call_command("apply_retention", "--dry-run", stdout=out)
    output = out.getvalue()
    rows = [line.split() for line in output.partition("lax:\n")[0].splitlines()]
    assert [(row[0], row[1], row[3], row[4]) for row in rows if row[2:3] == ["since"]] == [
        (str(expired.pk), "consent_expired", *f"{expired.consent_expires_at:%Y-%m-%d %H:%M}".split()),
        (str(unseen.pk), "unseen", *f"{unseen.last_interaction_at:%Y-%m-%d %H:%M}".split()),
    ]
    assert "2 due: consent_expired 1, unseen 1" in output
    assert re.search(r"^lax:\n  \S.*\n\Z", output, flags=re.MULTILINE)
    assert "Ada" not in output
    assert "Bob" not in output
    assert Person.objects.count() == 2


def test_the_command_erases_everyone_due_in_the_given_collection_only(strict: Collection) -> None:
    given_collection = Collection.objects.create(name="given", erase_without_consent=True)
    for collection in (strict, given_collection):
        for _ in range(2):
            without_consent(collection)
    call_command("apply_retention", "--collection", "given", stdout=StringIO())
    receipts = Erasure.objects.values_list("collection_id", "reason")
    assert list(receipts) == [(given_collection.pk, "consent_missing")] * 2
    assert [person.collection for person in Person.objects.all()] == [strict] * 2
    with pytest.raises(CommandError, match="nowhere"):
        call_command("apply_retention", "--collection", "nowhere")
