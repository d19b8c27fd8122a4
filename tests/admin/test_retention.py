"""Staff see which people a collection's rules would erase, before and after they set them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from people.admin import retention
from people.models import Collection, Person
from tests.admin.messages import messages_of
from tests.photo_records import photograph
from tests.times import ago

Enrol = Callable[..., Person]


@pytest.fixture
def people(collection: Collection) -> list[Person]:
    """Three without consent, one of them unseen for 100 days."""
    persons = [Person.objects.create(collection=collection, name=f"Person {number}") for number in range(3)]
    for person in persons:
        photograph(person, days_ago=200)
    Person.objects.filter(pk=persons[0].pk).update(last_interaction_at=ago(days=100))
    return persons


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


def test_the_page_of_a_collection_counts_the_people_of_rules_that_are_off(
    page: Client, collection: Collection, people: list[Person]
) -> None:
    response = page.get(reverse("admin:people_collection_change", args=[collection.pk])).content.decode()
    assert "Under the saved rules: <strong>0</strong>" in response
    assert (
        "Without consent (rule off): 0 with expired consent, 3 with photos but no consent recorded"
        in response
    )
    assert "Unseen (rule off): 1 for 30 days, 1 for 90 days, 0 for 365 days" in response


def test_a_message_says_how_many_people_a_new_rule_applies_to(
    page: Client, collection: Collection, people: list[Person]
) -> None:
    response = save(page, collection, erase_unseen_after_days="60")
    message = "Under the retention rules, 1 person is due now and will be erased within the hour."
    assert message in messages_of(response)
    assert "1 for 60 days" in response.content.decode()
    response = save(page, collection, erase_without_consent="on")
    assert any("3 people are due" in message for message in messages_of(response))
    response = save(page, collection)
    assert not any("due" in message for message in messages_of(response))
    assert Person.objects.count() == 3


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_an_invalid_number_of_days_is_an_error_of_its_field(
    page: Client, collection: Collection, days: str
) -> None:
    response = save(page, collection, erase_unseen_after_days=days)
    assert "erase_unseen_after_days" in response.context["adminform"].form.errors


def test_a_collection_is_added_with_its_rules(page: Client, db: None) -> None:
    url = reverse("admin:people_collection_add")
    assert "Due now" not in page.get(url).content.decode()
    page.post(url, {"name": "office", "erase_without_consent": "on", "erase_unseen_after_days": "30"})
    row = Collection.objects.get()
    assert (row.erase_without_consent, row.erase_unseen_after_days) == (True, 30)


def test_the_dry_run_lists_ids_without_names_and_erases_nobody(
    page: Client, collection: Collection, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse("admin:collection_retention", args=[collection.pk])
    assert "This collection has no retention rules" in page.get(url).content.decode()
    Collection.objects.update(erase_without_consent=True, erase_unseen_after_days=60)
    response = page.get(url)
    text = response.content.decode()
    assert "3 people are due for erasure." in text
    assert response.context["counts"] == [("Consent missing", 3)]
    assert all(str(person.pk) in text for person in people)
    assert "Person 1" not in text
    monkeypatch.setattr(retention, "SHOWN_PEOPLE", 2)
    response = page.get(url)
    assert (response.context["total"], len(response.context["shown"])) == (3, 2)
    assert page.post(url).status_code == 405
    assert Person.objects.count() == 3


def test_the_dry_run_requires_permission_to_view_people_and_collections(
    page: Client, page_of: Callable[..., Client], collection: Collection
) -> None:
    url = reverse("admin:collection_retention", args=[collection.pk])
    assert page_of("view_collection").get(url).status_code == 403
    assert page_of("view_person").get(url).status_code == 403
    assert page_of("view_person", "view_collection").get(url).status_code == 200
    missing = reverse("admin:collection_retention", args=["00000000-0000-0000-0000-000000000000"])
    assert page.get(missing).status_code == 404
