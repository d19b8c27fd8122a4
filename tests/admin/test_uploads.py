"""Staff upload several photos of a person at once, and each photo gets its own verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from people import enrolment, photo_warnings
from people.models import Collection, Person, Photo
from tests import fakes
from tests.actors import STAFF
from tests.admin.messages import messages_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("worker")]
Enrol = Callable[..., Person]


def png(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/png")


def add(page: Client, collection: Collection, *photos: SimpleUploadedFile, **fields: str) -> Any:
    form = {
        "collection": collection.pk, "name": "Ada", "status": "active", "metadata": "", "photos": photos,
        "consent_given_at_0": "", "consent_given_at_1": "", **fields,
    }  # fmt: skip
    return page.post(reverse("admin:people_person_add"), form, follow=True)


def test_a_person_is_added_with_several_photos_at_once(page: Client, collection: Collection) -> None:
    response = add(
        page, collection, png("a.png", fakes.photo(1, variation=1)), png("b.png", fakes.photo(1, variation=2))
    )
    person = Person.objects.get()
    assert response.redirect_chain[-1][0] == reverse("admin:people_person_change", args=[person.pk])
    assert [photo.status for photo in person.photos.all()] == ["accepted", "accepted"]
    assert response.content.count(b'class="verdict accepted"') == 2
    assert person.metadata == {}


def test_bad_files_are_named_and_good_ones_are_enrolled(page: Client, collection: Collection) -> None:
    response = add(
        page,
        collection,
        png("good.png", fakes.photo(1)),
        png("notes.txt", b"no picture at all"),
        png("empty.png", b""),
        png("large.png", b"\x89PNG" + bytes(10_000_001)),
        png("again.png", fakes.photo(1)),
    )
    messages = messages_of(response)
    assert any(line.startswith("“notes.txt”: The file is not a JPEG") for line in messages)
    assert any(line.startswith("“empty.png”: The photo is empty") for line in messages)
    assert any(line.startswith("“large.png”: The photo is larger than 10 MB") for line in messages)
    assert any(line.startswith("“again.png”: this person already has this photo") for line in messages)
    assert Photo.objects.get().status == Photo.Status.ACCEPTED


def test_no_photo_is_enrolled_without_required_consent(page: Client) -> None:
    strict = Collection.objects.create(name="strict", requires_consent=True)
    messages = messages_of(add(page, strict, png("a.png", fakes.photo(1))))
    assert any(line.startswith("“a.png”: ") and "consent" in line for line in messages)
    assert not Photo.objects.exists()


def test_a_rejected_photo_is_shown_with_measured_value_limit_and_hint(
    page: Client, collection: Collection
) -> None:
    text = add(page, collection, png("dark.png", fakes.photo(1, dark=True))).content.decode()
    assert 'class="verdict rejected"' in text
    assert "Low brightness" in text
    assert "limit 0.08" in text
    assert "Use more light." in text


def test_one_of_several_faces_can_be_chosen(page: Client, collection: Collection) -> None:
    add(page, collection, png("two.png", fakes.photo(1, 2)))
    photo = Photo.objects.get()
    assert photo.rejection is not None
    assert photo.rejection["code"] == "several_faces"
    person_page = reverse("admin:people_person_change", args=[photo.person_id])
    assert page.get(person_page).content.count(b'aria-label="Enrol face ') == 2
    box = photo.rejection["faces"][1]
    chosen = ",".join(str(box[side]) for side in ("left", "top", "width", "height"))
    page.post(reverse("admin:photo_choose_face", args=[photo.pk]), {"box": chosen})
    photo.refresh_from_db()
    assert photo.status == Photo.Status.ACCEPTED
    assert photo.templates.get().box == box


def test_an_invalid_box_chooses_no_face(page: Client, collection: Collection) -> None:
    add(page, collection, png("two.png", fakes.photo(1, 2)))
    photo = Photo.objects.get()
    for box in ("", "1,2,3", "a,b,c,d"):
        page.post(reverse("admin:photo_choose_face", args=[photo.pk]), {"box": box})
    photo.refresh_from_db()
    assert photo.status == Photo.Status.REJECTED


def test_a_possible_duplicate_is_linked_until_that_person_is_erased(
    page: Client, collection: Collection, enrolled: Enrol
) -> None:
    duplicate = enrolled(1, 1)
    link = reverse("admin:people_person_change", args=[duplicate.pk]).encode()
    response = add(page, collection, png("a.png", fakes.photo(1, variation=2)))
    assert b"Possible duplicate person" in response.content
    assert link in response.content
    page.post(reverse("admin:people_person_delete", args=[duplicate.pk]), {"post": "yes"})
    response = page.get(response.redirect_chain[-1][0])
    assert b"Possible duplicate person" in response.content
    assert link not in response.content


def test_an_external_id_in_use_is_an_error_of_the_form(
    page: Client, collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1, external_id="emp-1")
    person = enrolled(2, external_id="emp-2")
    response = page.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"name": "Bob", "external_id": "emp-1", "status": "active", "metadata": "{}"},
    )
    errors = response.context["adminform"].form.errors.as_data()
    assert [error.code for error in errors["__all__"]] == ["unique"]
    person.refresh_from_db()
    assert person.external_id == "emp-2"


def test_a_person_cannot_move_to_another_collection(page: Client, enrolled: Enrol) -> None:
    person, second_collection = enrolled(1), Collection.objects.create(name="second")
    page.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"collection": second_collection.pk, "name": "Bob", "status": "active", "metadata": "{}"},
    )
    before = person.collection_id
    person.refresh_from_db()
    assert (person.name, person.collection_id) == ("Bob", before)


def test_photos_are_not_cached_and_require_permission_to_view_people(
    page: Client, page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    photo = enrolled(1).photos.get()
    page_without_permission = page_of("view_collection", "view_apikey")
    for name in ("photo_image", "photo_thumbnail"):
        url = reverse(f"admin:{name}", args=[photo.pk])
        response = page.get(url)
        assert response["Content-Type"] == "image/jpeg"
        assert response.content.startswith(b"\xff\xd8\xff")
        assert "no-store" in response["Cache-Control"]
        assert response["X-Content-Type-Options"] == "nosniff"
        assert page_without_permission.get(url).status_code == 403


def test_staff_who_may_only_view_people_see_photos_and_no_buttons(
    page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    person = enrolled(1)
    response = page_of("view_person").get(reverse("admin:people_person_change", args=[person.pk]))
    assert b'class="verdict accepted"' in response.content
    assert b"Withdraw" not in response.content
    assert b'type="file"' not in response.content


def test_adding_photos_requires_its_own_permission(
    page_of: Callable[..., Client], collection: Collection
) -> None:
    page = page_of("add_person", "view_person")
    assert b'type="file"' not in page.get(reverse("admin:people_person_add")).content
    add(page, collection, png("a.png", fakes.photo(1)))
    assert Person.objects.count() == 1
    assert not Photo.objects.exists()


def test_the_page_of_a_person_takes_as_many_queries_for_ten_photos_as_for_one(
    page: Client, enrolled: Enrol, django_assert_max_num_queries: Any
) -> None:
    person = enrolled(1, *range(1, 11))
    with django_assert_max_num_queries(12):
        response = page.get(reverse("admin:people_person_change", args=[person.pk]))
    assert response.content.count(b'class="verdict accepted"') == 10


def test_a_face_rejected_for_its_quality_is_shown_with_its_box(page: Client, collection: Collection) -> None:
    text = add(page, collection, png("a.png", fakes.photo(1, dark=True))).content.decode()
    assert text.count('class="mark poor"') == 1
    assert 'name="box"' not in text


@pytest.mark.parametrize(
    ("photo", "hint"),
    [
        (fakes.photo(2), photo_warnings.UNLIKE_OWN_PHOTOS),
        (fakes.photo(1, variation=3), photo_warnings.CLOSER_TO_ANOTHER),
    ],
)
def test_a_low_confidence_is_explained_by_the_persons_own_photos_or_by_another_person(
    page: Client, enrolled: Enrol, photo: bytes, hint: str
) -> None:
    person = enrolled(1)
    enrolled(1, 3)
    enrolment.enrol(enrolment.submit(person, photo, actor=STAFF).photo.pk)
    response = page.get(reverse("admin:people_person_change", args=[person.pk]))
    newest = response.context["photo_rows"][0]
    (shown,) = (row["hint"] for row in newest["warnings"] if row["code"] == "LOW_MATCH_CONFIDENCE")
    assert shown == hint
