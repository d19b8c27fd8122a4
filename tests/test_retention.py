from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from people import erasure, identification, outbox, registration, retention, tasks
from people.indexes import get_index
from people.models import Collection, Erasure, OutboxEntry, Person
from tests import fakes
from tests.conftest import STAFF

Enrol = Callable[..., Person]


def _ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


@pytest.fixture
def strict(collection: Collection) -> Collection:
    collection.erase_without_consent = True
    collection.erase_unseen_after_days = 30
    collection.save()
    return collection


def _unseen(person: Person, days: float) -> None:
    Person.objects.filter(pk=person.pk).update(last_interaction_at=_ago(days))


def test_without_rules_nobody_is_due(collection: Collection, enrolled: Enrol) -> None:
    _unseen(enrolled(1, consent_given_at=_ago(900), consent_expires_at=_ago(800)), 900)
    assert list(retention.due()) == []


def test_a_person_is_erased_a_day_after_their_consent_expired(strict: Collection, enrolled: Enrol) -> None:
    gone = enrolled(1, consent_given_at=_ago(9), consent_expires_at=_ago(1.1))
    enrolled(2, consent_given_at=_ago(9), consent_expires_at=_ago(0.9))
    enrolled(3, consent_given_at=_ago(9))
    enrolled(4)
    tasks.apply_retention()
    receipt = Erasure.objects.get()
    assert (receipt.person_id, receipt.reason) == (gone.pk, "consent_expired")
    assert receipt.requested_by == "system:worker"
    assert Person.objects.count() == 3


def test_a_person_is_erased_when_they_were_not_seen_for_as_long_as_the_collection_says(
    strict: Collection, enrolled: Enrol
) -> None:
    gone, stays = enrolled(1), enrolled(2)
    _unseen(gone, 30.1)
    _unseen(stays, 29.9)
    tasks.apply_retention()
    assert list(Person.objects.all()) == [stays]
    assert Erasure.objects.get().reason == "unseen"


def test_one_collections_rules_are_not_anothers(strict: Collection, enrolled: Enrol) -> None:
    other = Collection.objects.create(name="other")
    _unseen(enrolled(1, into=other), 900)
    assert list(retention.due()) == []


@pytest.mark.parametrize("deed", ["identify", "verify", "change", "enrol"])
def test_who_is_enrolled_matched_or_changed_was_seen(strict: Collection, enrolled: Enrol, deed: str) -> None:
    person = enrolled(1)
    _unseen(person, 31)
    if deed == "identify":
        identification.identify(fakes.photo(1), collection=strict, actor=STAFF)
    elif deed == "verify":
        identification.verify(fakes.photo(1), person=person, actor=STAFF)
    elif deed == "change":
        registration.save_person(person, actor=STAFF)
    else:
        from people import enrolment

        enrolment.enrol(enrolment.submit(person, fakes.photo(1, variation=5), actor=STAFF).photo.pk)
    assert list(retention.due()) == []


def test_a_stranger_who_is_verified_against_a_person_is_no_sign_of_them(
    strict: Collection, enrolled: Enrol
) -> None:
    person = enrolled(1)
    _unseen(person, 31)
    assert not identification.verify(fakes.photo(2), person=person, actor=STAFF).score.match
    assert [one.person_id for one in retention.due()] == [person.pk]


def test_whoever_was_seen_after_the_list_was_made_stays(strict: Collection, enrolled: Enrol) -> None:
    person = enrolled(1)
    _unseen(person, 31)
    [one] = retention.due()
    _unseen(person, 0)
    assert retention.apply(one, actor=STAFF) is None
    assert Person.objects.exists()


def test_the_dry_run_lists_ids_and_counts_and_erases_nobody(strict: Collection, enrolled: Enrol) -> None:
    person = enrolled(1, name="Ada Lovelace")
    _unseen(person, 31)
    out = StringIO()
    call_command("apply_retention", "--dry-run", stdout=out)
    assert f"default {person.pk} unseen since" in out.getvalue()
    assert "default: 1 would be erased by unseen." in out.getvalue()
    assert "Ada" not in out.getvalue()
    assert Person.objects.exists()
    call_command("apply_retention", "--collection", "default", stdout=out)
    assert "Erased: 1." in out.getvalue()
    with pytest.raises(CommandError, match="no collection nowhere"):
        call_command("apply_retention", "--collection", "nowhere")


def test_staff_see_who_is_due(strict: Collection, enrolled: Enrol, admin_client: Client) -> None:
    url = reverse("admin:people_collection_change", args=[strict.pk])
    assert "Nobody, by the rules as saved." in admin_client.get(url).content.decode()
    _unseen(enrolled(1), 31)
    assert "1 person:" in admin_client.get(url).content.decode()
    assert admin_client.get(reverse("admin:people_collection_add")).status_code == 200


def test_an_index_that_slept_while_the_log_was_pruned_still_sees_everything(
    collection: Collection, enrolled: Enrol
) -> None:
    stays, goes = enrolled(1), enrolled(2)
    sleeper = get_index()

    def proposed() -> set[Any]:
        probe = fakes_vector(1)
        return set(sleeper.nearest(probe, collection_id=collection.pk, engine="fake/1", limit=9).persons[0])

    assert proposed() == {stays.pk, goes.pk}
    erasure.erase(goes, actor=STAFF)
    new = enrolled(3)
    OutboxEntry.objects.exclude(done_at=None).update(done_at=_ago(8))
    outbox.prune()
    assert OutboxEntry.objects.filter(topic="person_changed").count() == 1
    assert proposed() == {stays.pk, new.pk}


def fakes_vector(seed: int) -> Any:
    from people import extraction, photos
    from people.engines import get_engine

    engine = get_engine()
    return extraction.templates(extraction.extract(photos.decode(fakes.photo(seed)), engine), engine)
