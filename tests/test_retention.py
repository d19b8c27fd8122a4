from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from people import broker, enrolment, erasure, identification, outbox, registration, retention, tasks
from people.models import Collection, Erasure, OutboxEntry, Person, Photo, Template
from people.models.person import PersonQuerySet
from tests import fakes
from tests.actors import STAFF
from tests.photo_records import photograph
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


def ago(**time: float) -> datetime:
    return timezone.now() - timedelta(**time)


@pytest.fixture
def strict(collection: Collection) -> Collection:
    """A collection with both rules."""
    collection.erase_without_consent = True
    collection.erase_unseen_after_days = 30
    collection.save()
    return collection


def person(collection: Collection, **fields: Any) -> Person:
    """Make a person who is due by no rule, but for `fields`."""
    given = {"consent_given_at": ago(days=400), **fields}
    made = Person.objects.create(collection=collection)
    Person.objects.filter(pk=made.pk).update(**given)
    made.refresh_from_db()
    return made


def without_consent(collection: Collection, *, days_ago: float = 2) -> Person:
    made = person(collection, consent_given_at=None)
    photograph(made, days_ago=days_ago)
    return made


def due(collection: Collection) -> dict[Any, str]:
    return {one.person_id: one.rule for one in retention.due(collection)}


def test_who_is_due_by_which_rule(strict: Collection) -> None:
    person(strict)
    person(strict, consent_expires_at=ago(hours=23))
    person(strict, consent_expires_at=ago(days=-1))
    person(strict, consent_given_at=None, created_at=ago(days=20))  # no photo yet
    without_consent(strict, days_ago=0.9)
    person(strict, consent_given_at=ago(days=-14))  # starts later
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
    since = {one.person_id: one.since for one in retention.due(strict)}
    assert since[expired.pk] == expired.consent_expires_at
    assert since[missing.pk] == missing.photos.get().created_at
    assert since[unseen.pk] == unseen.last_interaction_at


def test_each_collection_has_its_own_rules(strict: Collection) -> None:
    lax = Collection.objects.create(name="lax")
    unseen_only = Collection.objects.create(name="unseen", erase_unseen_after_days=365)
    for collection in (strict, lax, unseen_only):
        person(collection, last_interaction_at=ago(days=40))
    assert [len(due(collection)) for collection in (strict, lax, unseen_only)] == [1, 0, 0]


def test_those_who_are_due_are_listed_once_however_many_there_are(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_CHUNK", 2)
    people = {person(strict, last_interaction_at=ago(days=31)).pk for _ in range(5)}
    listed = [one.person_id for one in retention.due(strict)]
    assert (len(listed), set(listed)) == (5, people)


def test_who_is_due_is_erased_with_everything_and_a_receipt_that_names_the_rule(
    strict: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    gone, stays = enrolled(1, consent_given_at=ago(days=9)), enrolled(2, consent_given_at=ago(days=9))
    Person.objects.filter(pk=gone.pk).update(last_interaction_at=ago(days=31))
    tasks.apply_retention()
    assert list(Person.objects.all()) == [stays]
    receipt = Erasure.objects.get()
    assert (receipt.person_id, receipt.reason, receipt.requested_by) == (
        gone.pk,
        "unseen",
        "system:retention",
    )
    work()
    assert stored_files() == [Photo.objects.get().file.name]
    found = identification.identify(fakes.photo(1), collection=strict, actor=STAFF)
    assert found.faces[0].candidates == []


@pytest.mark.parametrize("change", ["consent renewed", "matched", "rule turned off", "erased"])
def test_what_changes_before_the_row_is_locked_is_seen(
    strict: Collection, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    rule = "unseen" if change == "matched" else "consent_expired"
    field = "last_interaction_at" if change == "matched" else "consent_expires_at"
    one = person(strict, **{field: ago(days=31)})
    changes: dict[str, Callable[[], Any]] = {
        "consent renewed": lambda: Person.objects.update(consent_expires_at=ago(days=-365)),
        "matched": Person.objects.get(pk=one.pk).touch,
        "rule turned off": lambda: Collection.objects.update(erase_without_consent=False),
        "erased": lambda: erasure.erase(one, actor=STAFF),
    }
    lock = Person.lock_everyone

    def change_first(person_id: Any) -> list[Person]:
        monkeypatch.setattr(Person, "lock_everyone", lock)
        changes[change]()
        return lock(person_id)

    assert due(strict) == {one.pk: rule}
    monkeypatch.setattr(Person, "lock_everyone", change_first)
    assert list(retention.apply(strict, actor=STAFF)) == []
    assert Person.objects.exists() == (change != "erased")


def test_interrupted_it_goes_on(strict: Collection) -> None:
    for _ in range(3):
        without_consent(strict)
    run = retention.apply(strict, actor=STAFF)
    next(run)
    assert isinstance(run, Generator)
    run.close()
    assert Erasure.objects.count() == 1
    assert len(list(retention.apply(strict, actor=STAFF))) == 2


def test_a_run_ends_before_its_time_limit_and_has_itself_called_again(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        without_consent(strict)
    called: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: called.append(name))
    monkeypatch.setattr(tasks, "SECONDS", -1)
    left = []
    for _ in range(3):
        tasks.apply_retention()
        left.append(Person.objects.count())
    assert left == [2, 1, 0]
    assert called == ["people.tasks.apply_retention"] * 3


def test_a_run_that_no_worker_could_be_told_to_go_on_with_is_no_failure(
    strict: Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_consent(strict)
    monkeypatch.setattr(broker, "_next_try", 0.0)

    def away(*args: Any, **options: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(current_app, "send_task", away)
    monkeypatch.setattr(tasks, "SECONDS", -1)
    tasks.apply_retention()
    assert not Person.objects.exists()
    assert "The sweep will find it" in caplog.text


def test_one_person_who_can_not_be_erased_keeps_no_other(
    strict: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [without_consent(strict) for _ in range(3)]
    stuck = sorted(people, key=lambda one: one.pk)[0]
    erase = erasure.erase

    def fails_for_one(one: Person, **options: Any) -> Erasure:
        if one.pk == stuck.pk:
            raise DatabaseError
        return erase(one, **options)

    monkeypatch.setattr(erasure, "erase", fails_for_one)
    with pytest.raises(CommandError, match="Still due in default: 1"):
        call_command("apply_retention", stdout=StringIO())
    assert list(Person.objects.all()) == [stuck]


def test_the_dry_run_lists_ids_and_counts_and_erases_nobody(strict: Collection) -> None:
    Collection.objects.create(name="lax")
    expired = person(strict, consent_expires_at=ago(days=2), name="Ada")
    unseen = person(strict, last_interaction_at=ago(days=31), name="Bob")
    out = StringIO()
    call_command("apply_retention", "--dry-run", stdout=out)
    assert out.getvalue().splitlines() == [
        "default:",
        f"  {expired.pk}  consent_expired  since {expired.consent_expires_at:%Y-%m-%d %H:%M} UTC",
        f"  {unseen.pk}  unseen  since {unseen.last_interaction_at:%Y-%m-%d %H:%M} UTC",
        "  2 due: consent_expired 1, unseen 1",
        "lax:",
        "  no rule, so people are kept",
    ]
    assert Person.objects.count() == 2


def test_the_command_erases_to_the_end_in_the_collection_that_is_named(strict: Collection) -> None:
    other = Collection.objects.create(name="other", erase_without_consent=True)
    for collection in (strict, other):
        for _ in range(2):
            without_consent(collection)
    out = StringIO()
    call_command("apply_retention", "--collection", "other", stdout=out)
    assert out.getvalue() == "other: 2 erased: consent_missing 2\n"
    assert {one.collection for one in Person.objects.all()} == {strict}
    with pytest.raises(CommandError, match="There is no collection nowhere"):
        call_command("apply_retention", "--collection", "nowhere")


# --- the last interaction


def test_enrolment_change_match_and_verification_are_interactions(
    collection: Collection, enrolled: Enrol
) -> None:
    one = enrolled(1)
    photo = enrolment.submit(one, fakes.photo(1, variation=2), actor=STAFF).photo
    acts: dict[str, Callable[[Person], Any]] = {
        "enrol": lambda person: enrolment.enrol(photo.pk),
        "change": lambda person: registration.save_person(person, actor=STAFF),
        "match": lambda person: identification.identify(fakes.photo(1), collection=collection, actor=STAFF),
        "verify": lambda person: identification.verify(fakes.photo(1), person=person, actor=STAFF),
    }
    for name, act in acts.items():
        Person.objects.update(last_interaction_at=ago(days=3))
        act(Person.objects.get())
        assert Person.objects.get().last_interaction_at > ago(minutes=5), name


def test_a_search_that_does_not_match_and_a_suspended_person_are_not_touched(
    collection: Collection, enrolled: Enrol
) -> None:
    one = enrolled(1)
    Person.objects.update(last_interaction_at=ago(days=3))
    identification.identify(fakes.photo(2), collection=collection, actor=STAFF, include_below=True)
    identification.verify(fakes.photo(2), person=one, actor=STAFF)
    one.refresh_from_db()
    one.status = Person.Status.SUSPENDED
    registration.save_person(one, actor=STAFF)
    assert Person.objects.get().last_interaction_at < ago(days=2)


def test_a_person_is_touched_once_an_hour(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(1)
    recent = ago(minutes=59)
    Person.objects.update(last_interaction_at=recent)
    identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    assert Person.objects.get().last_interaction_at == recent


def test_a_search_is_answered_although_the_interaction_can_not_be_noted(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    one = enrolled(1)
    Person.objects.update(last_interaction_at=ago(days=3))

    def locked(*args: Any, **fields: Any) -> int:
        raise DatabaseError("database is locked")

    monkeypatch.setattr(PersonQuerySet, "update", locked)
    found = identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    assert [candidate.person for candidate in found.faces[0].candidates] == [one]
    assert str(one.pk) in caplog.text


# --- what is done is forgotten


def _age(days: float, **entries: Any) -> None:
    OutboxEntry.objects.filter(**entries).update(done_at=ago(days=days))


def test_old_entries_go_and_the_newest_of_the_change_log_stays(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    for seed in range(3):
        enrolled(seed)
    work()
    undone = outbox.purge_file("nothing.jpg", after=timedelta(days=1))
    newest = OutboxEntry.objects.filter(topic="person_changed").order_by("-pk")[0]
    _age(8, done_at__isnull=False)
    tasks.prune_outbox()
    assert set(OutboxEntry.objects.all()) == {newest, undone}


def test_young_entries_stay(collection: Collection, enrolled: Enrol, work: Callable[[], None]) -> None:
    enrolled(1)
    work()
    _age(6, done_at__isnull=False)
    entries = OutboxEntry.objects.count()
    tasks.prune_outbox()
    assert OutboxEntry.objects.count() == entries


def test_the_change_log_has_no_hole_although_a_clock_was_set_back(
    collection: Collection, enrolled: Enrol
) -> None:
    for seed in range(4):
        enrolled(seed)
    log = list(OutboxEntry.objects.filter(topic="person_changed").order_by("pk"))
    _age(8, pk__in=[log[0].pk, log[2].pk])
    tasks.prune_outbox()
    assert list(OutboxEntry.objects.filter(topic="person_changed").order_by("pk")) == log[1:]


def test_many_old_entries_go_in_small_parts(
    collection: Collection, enrolled: Enrol, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        enrolled(seed)
    work()
    _age(8, done_at__isnull=False)
    monkeypatch.setattr(outbox, "PRUNED_AT_ONCE", 2)
    assert outbox.prune() == 4
    tasks.prune_outbox()
    assert OutboxEntry.objects.count() == 1


def test_what_an_open_receipt_counts_on_stays(collection: Collection, enrolled: Enrol) -> None:
    receipt = erasure.erase(enrolled(1), actor=STAFF)
    OutboxEntry.objects.filter(topic="purge_file").update(erasure_id=receipt.pk, done_at=ago(days=8))
    tasks.prune_outbox()
    assert OutboxEntry.objects.filter(topic="purge_file").exists()
    Erasure.objects.update(completed_at=timezone.now())
    tasks.prune_outbox()
    assert not OutboxEntry.objects.filter(topic="purge_file").exists()
    assert not Template.objects.exists()
