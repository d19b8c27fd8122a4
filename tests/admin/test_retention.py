"""Staff see whom a collection's rules would erase, before and after they set them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from people.admin import retention
from people.models import Collection, Person
from tests.photo_records import photograph

Enrol = Callable[..., Person]


@pytest.fixture
def people(collection: Collection) -> list[Person]:
    """Three without consent, one of them unseen for 100 days."""
    made = [Person.objects.create(collection=collection, name=f"Person {number}") for number in range(3)]
    for person in made:
        photograph(person, days_ago=200)
    Person.objects.filter(pk=made[0].pk).update(last_interaction_at=timezone.now() - timedelta(days=100))
    return made


def save(page: Client, collection: Collection, **fields: Any) -> Any:
    form = {
        "description": "",
        "fpir": "",
        "fmr": "",
        "min_similarity": "",
        "erase_unseen_after_days": "",
        **fields,
    }
    url = reverse("admin:people_collection_change", args=[collection.pk])
    return page.post(url, form | {"_continue": "1"}, follow=True)


def test_the_page_of_a_collection_counts_who_would_be_due_before_a_rule_is_set(
    page: Client, collection: Collection, people: list[Person]
) -> None:
    answer = page.get(reverse("admin:people_collection_change", args=[collection.pk])).content.decode()
    assert "By the rules as saved: <strong>0</strong>" in answer
    assert "Without consent (rule off): 0 expired, 3 with photos and none recorded" in answer
    assert "Unseen (rule off): for 30 days 1, for 90 days 1, for 365 days 0" in answer


def test_whoever_sets_a_rule_is_told_how_many_are_due(
    page: Client, collection: Collection, people: list[Person]
) -> None:
    answer = save(page, collection, erase_unseen_after_days="60")
    told = [str(message) for message in answer.context["messages"]]
    assert "Under the retention rules, 1 person is due now and will be erased within the hour." in told
    assert "for 60 days 1" in answer.content.decode()
    answer = save(page, collection, erase_without_consent="on")
    assert any("3 people are due" in str(message) for message in answer.context["messages"])
    answer = save(page, collection)
    assert not any("due" in str(message) for message in answer.context["messages"])
    assert Person.objects.count() == 3


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_a_wrong_number_of_days_is_told_at_its_field(page: Client, collection: Collection, days: str) -> None:
    answer = save(page, collection, erase_unseen_after_days=days)
    assert "erase_unseen_after_days" in answer.context["adminform"].form.errors


def test_a_collection_is_added_with_its_rules(page: Client, db: None) -> None:
    url = reverse("admin:people_collection_add")
    assert "Due now" not in page.get(url).content.decode()
    page.post(url, {"name": "office", "erase_without_consent": "on", "erase_unseen_after_days": "30"})
    row = Collection.objects.get()
    assert (row.erase_without_consent, row.erase_unseen_after_days) == (True, 30)


def test_the_dry_run_lists_ids_and_no_names_and_erases_nobody(
    page: Client, collection: Collection, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse("admin:collection_retention", args=[collection.pk])
    assert "This collection has no retention rules" in page.get(url).content.decode()
    Collection.objects.update(erase_without_consent=True, erase_unseen_after_days=60)
    answer = page.get(url)
    text = answer.content.decode()
    assert "3 people are due." in text
    assert answer.context["counts"] == [("Consent missing", 3)]
    assert all(str(one.pk) in text for one in people)
    assert "Person 1" not in text
    monkeypatch.setattr(retention, "SHOWN_PEOPLE", 2)
    answer = page.get(url)
    assert (answer.context["total"], len(answer.context["shown"])) == (3, 2)
    assert page.post(url).status_code == 405
    assert Person.objects.count() == 3


def test_the_dry_run_is_for_staff_who_may_see_people(
    page: Client, page_of: Callable[..., Client], collection: Collection
) -> None:
    url = reverse("admin:collection_retention", args=[collection.pk])
    assert page_of("view_collection").get(url).status_code == 403
    assert page_of("view_person").get(url).status_code == 403
    assert page_of("view_person", "view_collection").get(url).status_code == 200
    missing = reverse("admin:collection_retention", args=["00000000-0000-0000-0000-000000000000"])
    assert page.get(missing).status_code == 404
