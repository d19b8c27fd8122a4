"""When a person was last enrolled, matched or changed, which a retention rule uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from people import enrolment, identification, registration
from people.models import Collection, Person
from people.models.person import PersonQuerySet
from tests import fakes
from tests.actors import STAFF
from tests.times import ago

Enrol = Callable[..., Person]


def test_enrolment_change_match_and_verification_count_as_interactions(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled_person = enrolled(1)
    photo = enrolment.submit(enrolled_person, fakes.photo(1, variation=2), actor=STAFF).photo
    operations: dict[str, Callable[[Person], Any]] = {
        "enrol": lambda person: enrolment.enrol(photo.pk),
        "change": lambda person: registration.save_person(person, actor=STAFF),
        "match": lambda person: identification.identify(fakes.photo(1), collection=collection, actor=STAFF),
        "verify": lambda person: identification.verify(fakes.photo(1), person=person, actor=STAFF),
    }
    for name, operation in operations.items():
        Person.objects.update(last_interaction_at=ago(days=3))
        operation(Person.objects.get())
        assert Person.objects.get().last_interaction_at > ago(minutes=5), name


def test_a_search_without_a_match_and_a_change_to_suspended_are_not_interactions(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled_person = enrolled(1)
    Person.objects.update(last_interaction_at=ago(days=3))
    identification.identify(fakes.photo(2), collection=collection, actor=STAFF, include_below=True)
    identification.verify(fakes.photo(2), person=enrolled_person, actor=STAFF)
    enrolled_person.refresh_from_db()
    enrolled_person.status = Person.Status.SUSPENDED
    registration.save_person(enrolled_person, actor=STAFF)
    assert Person.objects.get().last_interaction_at < ago(days=2)


def test_an_interaction_is_recorded_at_most_once_per_hour(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(1)
    recent = ago(minutes=59)
    Person.objects.update(last_interaction_at=recent)
    identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    assert Person.objects.get().last_interaction_at == recent


def test_a_search_succeeds_even_if_the_interaction_cannot_be_recorded(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    enrolled_person = enrolled(1)
    Person.objects.update(last_interaction_at=ago(days=3))

    def locked(*args: Any, **fields: Any) -> int:
        raise DatabaseError("database is locked")

    monkeypatch.setattr(PersonQuerySet, "update", locked)
    result = identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    assert [candidate.person for candidate in result.faces[0].candidates] == [enrolled_person]
    assert str(enrolled_person.pk) in caplog.text
