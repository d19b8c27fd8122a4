"""Every door by which staff can delete leads through the acts: rows, files and index entries all go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from people import api_keys, identification
from people.models import AuditEvent, Collection, Erasure, Person, Photo, Template
from tests import fakes
from tests.actors import STAFF
from tests.stored_files import stored_files

Enrol = Callable[..., Person]
pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = "admin:people_person_changelist"


def delete_one(page: Client, person: Person) -> None:
    page.post(reverse("admin:people_person_delete", args=[person.pk]), {"post": "yes"})


def delete_selected(page: Client, person: Person) -> None:
    page.post(reverse(PEOPLE), {"action": "delete_selected", "_selected_action": person.pk, "post": "yes"})


def delete_all_found(page: Client, person: Person) -> None:
    page.post(
        f"{reverse(PEOPLE)}?q={person.name}",
        {"action": "delete_selected", "_selected_action": person.pk, "select_across": 1, "post": "yes"},
    )


def delete_collection(page: Client, person: Person) -> None:
    url = reverse("admin:people_collection_delete", args=[person.collection_id])
    page.post(url, {"post": "yes"})


def delete_selected_collections(page: Client, person: Person) -> None:
    page.post(
        reverse("admin:people_collection_changelist"),
        {"action": "delete_selected", "_selected_action": person.collection_id, "post": "yes"},
    )


@pytest.mark.parametrize(
    "door",
    [delete_one, delete_selected, delete_all_found, delete_collection, delete_selected_collections],
)
def test_a_person_deleted_by_any_door_is_gone_with_photos_templates_and_files(
    page: Client,
    enrolled: Enrol,
    work: Callable[[], None],
    door: Callable[[Client, Person], None],
    collection: Collection,
) -> None:
    elsewhere = Collection.objects.create(name="elsewhere")
    person, other = enrolled(1, 1, 2), enrolled(2, into=elsewhere)
    door(page, person)
    assert list(Person.objects.all()) == [other]
    assert {photo.person for photo in Photo.objects.all()} == {other}
    assert {template.person for template in Template.objects.all()} == {other}
    found = identification.identify(fakes.photo(1), collection=collection, actor=STAFF, include_below=True)
    assert found.faces[0].candidates == []
    receipt = Erasure.objects.get()
    assert (receipt.person_id, receipt.photos, receipt.templates) == (person.pk, 2, 2)
    assert AuditEvent.objects.filter(action="person.erased", object_id=person.pk).exists()
    work()
    assert stored_files() == [other.photos.get().file.name]


def test_the_page_before_a_deletion_says_what_goes(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    answer = page.get(reverse("admin:people_person_delete", args=[person.pk]))
    assert dict(answer.context["model_count"]) == {"people": 1, "photos": 2, "templates": 2}
    assert not answer.context["protected"]
    answer = page.post(
        reverse(PEOPLE), {"action": "delete_selected", "_selected_action": person.pk}
    )  # not confirmed yet
    assert dict(answer.context["model_count"]) == {"people": 1, "photos": 2, "templates": 2}
    assert Person.objects.exists()


def test_the_page_before_a_collections_deletion_counts_its_keys_too(page: Client, enrolled: Enrol) -> None:
    collection = enrolled(1).collection
    api_keys.issue(label="door", scopes=["identify"], collection=collection, actor=STAFF)
    answer = page.get(reverse("admin:people_collection_delete", args=[collection.pk]))
    counts = dict(answer.context["model_count"])
    assert counts == {"collections": 1, "people": 1, "photos": 1, "templates": 1, "API keys": 1}


def test_the_message_after_a_deletion_says_how_much_went(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    url = reverse("admin:people_person_delete", args=[person.pk])
    answer = page.post(url, {"post": "yes"}, follow=True)
    assert "Erased with 2 photos and 2 templates." in map(str, answer.context["messages"])


@pytest.mark.parametrize("door", [delete_one, delete_selected, delete_collection])
def test_nobody_is_deleted_by_staff_who_may_only_change(
    page_of: Callable[..., Client], enrolled: Enrol, door: Callable[[Client, Person], None]
) -> None:
    person = enrolled(1)
    may_change = page_of("view_person", "change_person", "view_collection", "change_collection")
    door(may_change, person)
    assert list(Person.objects.all()) == [person]


def test_a_collection_is_not_deleted_by_staff_who_may_not_delete_people(
    page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    person = enrolled(1)
    delete_collection(page_of("view_collection", "delete_collection"), person)
    assert list(Person.objects.all()) == [person]


def test_a_photo_is_withdrawn_with_its_file(page: Client, enrolled: Enrol, work: Callable[[], None]) -> None:
    person = enrolled(1, 1, 2)
    photo = person.photos.earliest("created_at")
    page.post(reverse("admin:photo_withdraw", args=[photo.pk]))
    kept = person.photos.get()
    assert kept != photo
    assert person.templates.get().photo == kept
    work()
    assert stored_files() == [kept.file.name]


def test_a_photo_is_not_withdrawn_by_a_link_or_by_staff_who_may_only_look(
    page: Client, page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    photo = enrolled(1).photos.get()
    url = reverse("admin:photo_withdraw", args=[photo.pk])
    assert page.get(url).status_code == 405
    assert page_of("view_person", "view_photo").post(url).status_code == 403
    assert Photo.objects.filter(pk=photo.pk).exists()
