from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from people.models import AuditEvent, Collection, Erasure, Person, Photo
from tests import fakes

Enrol = Callable[..., Person]


@pytest.fixture
def client(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def _files(*contents: bytes) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(f"photo{number}.png", data) for number, data in enumerate(contents)]


def _form(collection: Collection, *contents: bytes, **fields: Any) -> dict[str, Any]:
    return {
        "collection": str(collection.pk), "name": "Ada", "external_id": "", "status": "active",
        "consent_given_at_0": "", "consent_given_at_1": "", "consent_expires_at_0": "",
        "consent_expires_at_1": "", "metadata": "{}", "photos": _files(*contents), **fields,
    }  # fmt: skip


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
def test_a_person_is_added_with_several_photos_at_once(client: Client, collection: Collection) -> None:
    form = _form(collection, fakes.photo(1, variation=1), fakes.photo(1, variation=2))
    page = client.post("/admin/people/person/add/", form, follow=True)
    person = Person.objects.get()
    assert page.redirect_chain == [(f"/admin/people/person/{person.pk}/change/", 302)]
    assert [photo.status for photo in person.photos.all()] == ["accepted", "accepted"]
    text = page.content.decode()
    assert text.count('class="mark good"') == 2
    assert f"/admin/photos/{person.photos.first().pk}/image/" in text  # type: ignore[union-attr]


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
def test_a_bad_file_is_named_and_the_good_ones_are_taken(client: Client, collection: Collection) -> None:
    form = _form(collection, b"no image at all", fakes.photo(1))
    page = client.post("/admin/people/person/add/", form, follow=True)
    assert "“photo0.png”: The file is not a JPEG, PNG, WebP or HEIC image." in page.content.decode()
    assert Person.objects.get().photos.get().status == "accepted"


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
def test_a_refused_photo_stays_with_its_reasons(client: Client, collection: Collection) -> None:
    page = client.post("/admin/people/person/add/", _form(collection, fakes.photo(1, dark=True)), follow=True)
    text = page.content.decode()
    assert "LOW_BRIGHTNESS" in text
    assert "Use more light." in text


@pytest.mark.usefixtures("worker")
@pytest.mark.django_db(transaction=True)
def test_of_several_faces_staff_choose_one(client: Client, collection: Collection) -> None:
    page = client.post("/admin/people/person/add/", _form(collection, fakes.photo(1, 2)), follow=True)
    assert 'value="160,0,160,160"' in page.content.decode()
    photo = Photo.objects.get()
    client.post(f"/admin/photos/{photo.pk}/face/", {"box": "160,0,160,160"})
    photo.refresh_from_db()
    assert photo.status == "accepted"
    assert photo.templates.get().box["left"] == 160


def test_a_photo_is_withdrawn_by_a_button(client: Client, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    photo = person.photos.first()
    assert photo is not None
    assert client.get(f"/admin/photos/{photo.pk}/withdraw/").status_code == 405
    client.post(f"/admin/photos/{photo.pk}/withdraw/")
    assert person.photos.count() == 1


@pytest.mark.parametrize("door", ["page", "action", "collection page", "collection action"])
def test_every_door_of_deletion_erases(client: Client, enrolled: Enrol, door: str) -> None:
    person, home = enrolled(1, 1, 2), Collection.objects.get()
    url, form = {
        "page": (f"/admin/people/person/{person.pk}/delete/", {"post": "yes"}),
        "action": (
            "/admin/people/person/",
            {"post": "yes", "action": "delete_selected", "_selected_action": str(person.pk)},
        ),
        "collection page": (f"/admin/people/collection/{home.pk}/delete/", {"post": "yes"}),
        "collection action": (
            "/admin/people/collection/",
            {"post": "yes", "action": "delete_selected", "_selected_action": str(home.pk)},
        ),
    }[door]
    asked = client.post(url, {name: value for name, value in form.items() if name != "post"})
    assert "photos: 2" in asked.content.decode().lower() or door.endswith("page")
    page = client.post(url, form, follow=True)
    assert page.status_code == 200
    assert not Person.objects.exists()
    assert Erasure.objects.get().person_id == person.pk


def test_nothing_of_an_erased_person_stays_in_djangos_own_log(client: Client, enrolled: Enrol) -> None:
    person = enrolled(1, name="Ada Lovelace")
    client.post(f"/admin/people/person/{person.pk}/delete/", {"post": "yes"})
    assert not LogEntry.objects.exists()
    assert AuditEvent.objects.filter(action="person.erased", actor__startswith="user:").exists()


def test_the_list_of_people_asks_the_database_no_more_for_more_people(
    client: Client, enrolled: Enrol, django_assert_max_num_queries: Any
) -> None:
    for seed in range(1, 9):
        enrolled(seed)
    with django_assert_max_num_queries(9):
        page = client.get("/admin/people/person/")
    assert page.content.decode().count('class="face"') == 8


def test_photos_are_shown_to_those_alone_who_may_see_people(client: Client, enrolled: Enrol) -> None:
    photo = enrolled(1).photos.get()
    for part in ("image", "thumbnail"):
        answer = client.get(f"/admin/photos/{photo.pk}/{part}/")
        assert answer["Content-Type"] == "image/jpeg"
        assert "no-store" in answer["Cache-Control"]
    other = User.objects.create_user("clerk", password="clerk", is_staff=True)
    clerk = Client()
    clerk.force_login(other)
    assert clerk.get(f"/admin/photos/{photo.pk}/image/").status_code == 403
    assert clerk.post(f"/admin/photos/{photo.pk}/withdraw/").status_code == 403
    assert clerk.get("/admin/identify/").status_code == 403
    other.user_permissions.add(Permission.objects.get(codename="view_person"))
    assert clerk.get(f"/admin/photos/{photo.pk}/image/").status_code == 200
    assert clerk.get(f"/admin/people/person/{photo.person_id}/delete/").status_code == 403
    assert Client().get(f"/admin/photos/{photo.pk}/image/").status_code == 302


def test_identify_draws_each_face_with_its_name_and_keeps_nothing(
    client: Client, collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1, name="Ada <Lovelace>")
    before = Photo.objects.count()
    photo = BytesIO(fakes.photo(1, 9, variation=3))
    photo.name = "group.png"
    page = client.post(
        "/admin/identify/", {"photo": photo, "collection": str(collection.pk), "quality": "auto"}
    )
    text = page.content.decode()
    assert "Face 1:" in text
    assert "Ada &lt;Lovelace&gt;" in text
    assert "Nobody in this collection" in text
    assert text.count("<rect") == 2
    assert "data:image/jpeg;base64," in text
    assert "no-store" in page["Cache-Control"]
    assert Photo.objects.count() == before


def test_identify_tells_what_is_wrong_with_a_file(client: Client, collection: Collection) -> None:
    photo = SimpleUploadedFile("photo.jpg", b"no image")
    page = client.post(
        "/admin/identify/", {"photo": photo, "collection": str(collection.pk), "quality": "auto"}
    )
    assert "The file is not a JPEG, PNG, WebP or HEIC image." in page.content.decode()


def test_a_suspended_person_is_told_to_the_index(client: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    form = _form(person.collection, status="suspended")
    assert client.post(f"/admin/people/person/{person.pk}/change/", form).status_code == 302
    person.refresh_from_db()
    assert person.status == "suspended"
    assert AuditEvent.objects.filter(action="person.changed", object_id=str(person.pk)).exists()


@pytest.mark.parametrize("address", ["not-a-uuid", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_person_is_no_error_of_ours(client: Client, address: str) -> None:
    assert client.get(f"/admin/people/person/{address}/change/").status_code == 302
