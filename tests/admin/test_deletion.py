"""Every way in which staff can delete people also deletes their rows, files and index entries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from people import api_keys, identification
from people.models import AuditEvent, Collection, Erasure, Person, Photo, Template
from tests import fakes
from tests.actors import STAFF
from tests.admin.messages import messages_of
from tests.stored_files import stored_files

Enrol = Callable[..., Person]
pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = "admin:people_person_changelist"


def delete_one(page: Client, person: Person) -> None:
    page.post(reverse("admin:people_person_delete", args=[person.pk]), {"post": "yes"})


def delete_selected(page: Client, person: Person) -> None:
    page.post(reverse(PEOPLE), {"action": "delete_selected", "_selected_action": person.pk, "post": "yes"})


def delete_all_search_results(page: Client, person: Person) -> None:
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
    "delete",
    [delete_one, delete_selected, delete_all_search_results, delete_collection, delete_selected_collections],
)
def test_a_deleted_person_leaves_no_photos_templates_or_files(
    page: Client,
    enrolled: Enrol,
    work: Callable[[], None],
    delete: Callable[[Client, Person], None],
    collection: Collection,
) -> None:
    second_collection = Collection.objects.create(name="second")
    person, remaining = enrolled(1, 1, 2), enrolled(2, into=second_collection)
    delete(page, person)
    assert list(Person.objects.all()) == [remaining]
    assert {photo.person for photo in Photo.objects.all()} == {remaining}
    assert {template.person for template in Template.objects.all()} == {remaining}
    result = identification.identify(fakes.photo(1), collection=collection, actor=STAFF, include_below=True)
    assert result.faces[0].candidates == []
    receipt = Erasure.objects.get()
    assert (receipt.person_id, receipt.photos, receipt.templates) == (person.pk, 2, 2)
    assert AuditEvent.objects.filter(action="person.erased", object_id=person.pk).exists()
    work()
    assert stored_files() == [remaining.photos.get().file.name]


def test_the_confirmation_page_counts_what_is_deleted(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    response = page.get(reverse("admin:people_person_delete", args=[person.pk]))
    assert dict(response.context["model_count"]) == {"people": 1, "photos": 2, "templates": 2}
    assert not response.context["protected"]
    response = page.post(
        reverse(PEOPLE), {"action": "delete_selected", "_selected_action": person.pk}
    )  # not confirmed yet
    assert dict(response.context["model_count"]) == {"people": 1, "photos": 2, "templates": 2}
    assert Person.objects.exists()


def test_the_confirmation_page_of_a_collection_also_counts_its_keys(page: Client, enrolled: Enrol) -> None:
    collection = enrolled(1).collection
    api_keys.issue(label="door", scopes=["identify"], collection=collection, actor=STAFF)
    response = page.get(reverse("admin:people_collection_delete", args=[collection.pk]))
    counts = dict(response.context["model_count"])
    assert counts == {"collections": 1, "people": 1, "photos": 1, "templates": 1, "API keys": 1}


def test_a_message_says_how_much_was_deleted(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    url = reverse("admin:people_person_delete", args=[person.pk])
    response = page.post(url, {"post": "yes"}, follow=True)
    assert "Erased 1 person with 2 photos and 2 templates." in messages_of(response)


@pytest.mark.parametrize("delete", [delete_one, delete_selected, delete_collection])
def test_deleting_people_requires_more_than_permission_to_change_them(
    page_of: Callable[..., Client], enrolled: Enrol, delete: Callable[[Client, Person], None]
) -> None:
    person = enrolled(1)
    editor = page_of("view_person", "change_person", "view_collection", "change_collection")
    delete(editor, person)
    assert list(Person.objects.all()) == [person]


def test_deleting_a_collection_requires_permission_to_delete_people(
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


def test_withdrawing_a_photo_takes_a_post_and_permission_to_change_people(
    page: Client, page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    photo = enrolled(1).photos.get()
    url = reverse("admin:photo_withdraw", args=[photo.pk])
    assert page.get(url).status_code == 405
    assert page_of("view_person", "view_photo").post(url).status_code == 403
    assert Photo.objects.filter(pk=photo.pk).exists()
