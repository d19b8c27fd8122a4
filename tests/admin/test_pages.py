from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from people.models import Collection, Person

Enrol = Callable[..., Person]


@pytest.mark.parametrize(
    "name",
    [
        "index", "identify", "people_person_changelist", "people_person_add", "people_collection_changelist",
        "people_collection_add", "people_apikey_changelist", "people_apikey_add",
        "people_auditevent_changelist", "people_erasure_changelist", "people_merge_changelist",
        "auth_user_changelist", "auth_group_changelist",
    ],
)  # fmt: skip
def test_every_page_opens_for_an_administrator(page: Client, enrolled: Enrol, name: str) -> None:
    enrolled(1)
    assert page.get(reverse(f"admin:{name}")).status_code == 200


def test_pages_of_stored_rows_open(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    for model, pk in (("person", person.pk), ("collection", person.collection_id)):
        for action in ("change", "delete"):
            assert page.get(reverse(f"admin:people_{model}_{action}", args=[pk])).status_code == 200


def test_requests_without_a_login_are_redirected_to_it(client: Client, enrolled: Enrol) -> None:
    photo = enrolled(1).photos.get()
    for url in (
        reverse("admin:identify"),
        reverse("admin:photo_image", args=[photo.pk]),
        reverse("admin:photo_thumbnail", args=[photo.pk]),
    ):
        response = client.get(url)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


def test_the_list_of_people_takes_as_many_queries_for_ten_as_for_one(
    page: Client, enrolled: Enrol, django_assert_max_num_queries: Any
) -> None:
    for seed in range(10):
        enrolled(seed)
    with django_assert_max_num_queries(10):
        response = page.get(reverse("admin:people_person_changelist"))
    assert response.content.count(b'class="face"') == 10


def test_people_are_found_by_name_and_external_id(page: Client, enrolled: Enrol) -> None:
    ada = enrolled(1, name="Ada", external_id="emp-1")
    bob = enrolled(2, name="Bob", external_id="emp-2")
    for person, text in ((ada, "ada"), (bob, "emp-2")):
        response = page.get(reverse("admin:people_person_changelist"), {"q": text})
        assert list(response.context["cl"].queryset) == [person]


def test_djangos_own_log_keeps_no_name(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1, name="Ada")
    page.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"name": "Ada Lovelace", "status": "active", "metadata": "{}"},
    )
    person.refresh_from_db()
    assert person.name == "Ada Lovelace"
    assert not LogEntry.objects.exists()


def test_the_history_of_a_person_is_the_audit(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    page.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"name": "Ada", "status": "active", "metadata": "{}"},
    )
    response = page.get(reverse("admin:people_person_history", args=[person.pk]), follow=True)
    assert b"person.changed" in response.content


def test_lists_are_titled_by_what_they_show(page: Client, db: None) -> None:
    for name, title in (("person", "People"), ("apikey", "API keys"), ("importjob", "Imports")):
        response = page.get(reverse(f"admin:people_{name}_changelist"))
        assert response.context["title"] == title


def test_the_form_of_a_person_has_no_link_that_deletes_their_collection(
    page: Client, collection: Collection
) -> None:
    content = page.get(reverse("admin:people_person_add")).content.decode()
    assert "add_id_collection" in content
    assert "delete_id_collection" not in content
    assert "change_id_collection" not in content


def test_browsers_request_no_icon(client: Client, page_of: Callable[..., Client]) -> None:
    link = b'<link rel="icon" href="data:,">'
    assert link in client.get(reverse("admin:login")).content
    page = page_of("view_person", "add_person")
    for name in ("index", "identify", "people_person_changelist", "people_person_add"):
        assert link in page.get(reverse(f"admin:{name}")).content
