from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from people.errors import NotAnImage, PhotoEmpty
from people.models import AuditEvent, Collection, Person, Photo
from tests import fakes
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


def identify(page: Client, collection: Collection, content: bytes, **fields: str) -> Any:
    form = {
        "photo": SimpleUploadedFile("probe.png", content), "collection": collection.pk,
        "quality_level": "auto", **fields,
    }  # fmt: skip
    return page.post(reverse("admin:identify"), form)


def test_every_face_gets_its_box_and_name(
    page: Client, staff: User, collection: Collection, enrolled: Enrol
) -> None:
    ada = enrolled(1, name="Ada")
    text = identify(page, collection, fakes.photo(1, 9, variation=3)).content.decode()
    assert "Face 1: Ada" in " ".join(text.split())
    assert "No match in this collection" in text
    assert text.count('class="mark good"') == 1
    assert reverse("admin:people_person_change", args=[ada.pk]) in text
    assert AuditEvent.objects.get(action="photo.identified").actor == f"user:{staff.pk}"


def test_two_people_who_look_too_similar_are_both_named(
    page: Client, collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1, 0, name="Ada")
    enrolled(1, 0, name="Ada's twin")
    text = " ".join(identify(page, collection, fakes.photo(1)).content.decode().split())
    assert "ambiguous" in text
    assert "Ada" in text
    assert "Ada&#x27;s twin" in text
    assert 'class="mark unsure"' in text


def test_people_below_the_threshold_are_listed_only_on_request(
    page: Client, collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1, name="Ada")
    assert b"below the threshold</span>" not in identify(page, collection, fakes.photo(9)).content
    assert (
        b"below the threshold</span>"
        in identify(page, collection, fakes.photo(9), include_below="on").content
    )


def test_a_skipped_face_is_shown_with_its_reasons(page: Client, collection: Collection) -> None:
    text = identify(page, collection, fakes.photo(1, dark=True)).content.decode()
    assert "Face 1: not searched" in text
    assert "Low brightness" in text
    assert "Use more light." in text


def test_several_faces_have_the_numbers_of_their_cards(
    page: Client, collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1, name="Ada")
    response = identify(page, collection, fakes.photo(1, 9))
    assert [mark.label for mark in response.context["figure"].marks] == ["1", "2"]
    alone = identify(page, collection, fakes.photo(1))
    assert [mark.label.split()[0] for mark in alone.context["figure"].marks] == ["Ada"]


def test_a_file_that_is_not_a_photo_is_an_error_of_the_field(page: Client, collection: Collection) -> None:
    for content, error in ((b"text", NotAnImage()), (b"", PhotoEmpty())):
        response = identify(page, collection, content)
        assert response.context["form"].errors["photo"] == [error.message]


def test_the_probe_is_not_stored(page: Client, collection: Collection, enrolled: Enrol) -> None:
    enrolled(1)
    before = stored_files()
    response = identify(page, collection, fakes.photo(1))
    assert b"data:image/jpeg;base64," in response.content
    assert "no-store" in response["Cache-Control"]
    assert stored_files() == before
    assert Photo.objects.count() == 1


def test_identifying_requires_permission_to_view_people(
    page_of: Callable[..., Client], collection: Collection
) -> None:
    page = page_of("view_collection", "change_collection", "add_person")
    assert page.get(reverse("admin:identify")).status_code == 403
    assert identify(page, collection, fakes.photo(1)).status_code == 403
    assert not AuditEvent.objects.exists()
