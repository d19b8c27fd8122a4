"""Collections and administrators are validated and audited when created or changed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from people import api_keys, erasure, registration
from people.actors import COMMAND
from people.models import AuditEvent, Collection
from tests.actors import STAFF

pytestmark = pytest.mark.django_db
PASSWORD = "of-no-account-1"


def test_the_default_collection_is_created_once_and_audited() -> None:
    registration.ensure_default_collection(actor=COMMAND)
    registration.ensure_default_collection(actor=COMMAND)
    collection = Collection.objects.get()
    event = AuditEvent.objects.get()
    assert (event.action, event.actor) == ("collection.created", "system:command")
    assert (event.object_id, event.collection_id) == (str(collection.pk), collection.pk)


def test_an_invalid_collection_is_not_stored() -> None:
    with pytest.raises(ValidationError):
        registration.save_collection(Collection(name="has a space"), actor=STAFF)
    with pytest.raises(ValidationError):
        registration.save_collection(Collection(name="two", fmr=1e-4, fpir=0.01), actor=STAFF)
    assert not Collection.objects.exists()
    assert not AuditEvent.objects.exists()


def test_saving_does_not_restore_a_deleted_collection(collection: Collection) -> None:
    stale = Collection.objects.get(pk=collection.pk)
    erasure.erase_collection(collection, actor=STAFF)
    stale.description = "still here"
    with pytest.raises(Collection.DoesNotExist):
        registration.save_collection(stale, actor=STAFF)
    assert not Collection.objects.exists()
    assert not AuditEvent.objects.filter(action="collection.changed").exists()


def _delete_before_saving(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete the collection, as another request would, just before it is saved."""
    save = registration.save_collection

    def delete_first(*args: Any, **options: Any) -> Collection:
        monkeypatch.setattr(registration, "save_collection", save)
        erasure.erase_collection(collection, actor=STAFF)
        return save(*args, **options)

    monkeypatch.setattr(registration, "save_collection", delete_first)


def test_a_client_gets_404_if_the_collection_is_deleted_before_it_is_saved(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = api_keys.issue(label="client", scopes=["manage"], actor=STAFF)
    api = APIClient(headers={"Authorization": f"Bearer {text}"})
    _delete_before_saving(collection, monkeypatch)
    response = api.patch("/api/v1/collections/default/", {"description": "still here"}, format="json")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_staff_see_an_error_if_the_collection_is_deleted_before_it_is_saved(
    collection: Collection, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _delete_before_saving(collection, monkeypatch)
    url = reverse("admin:people_collection_change", args=[collection.pk])
    response = admin_client.post(url, {"description": "still here"}, follow=True)
    assert [message.level for message in response.context["messages"]] == [messages.ERROR]
    assert not AuditEvent.objects.filter(action="collection.changed").exists()


def test_staff_see_an_error_if_another_request_has_taken_the_name(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = registration.save_collection

    def take_name_first(*args: Any, **options: Any) -> Collection:
        Collection.objects.create(name="taken")
        return save(*args, **options)

    monkeypatch.setattr(registration, "save_collection", take_name_first)
    response = admin_client.post(reverse("admin:people_collection_add"), {"name": "taken"}, follow=True)
    assert [message.level for message in response.context["messages"]] == [messages.ERROR]
    assert not AuditEvent.objects.filter(action="collection.created").exists()


def test_creating_an_administrator_and_changing_their_password_are_audited() -> None:
    created = registration.save_administrator("admin", PASSWORD, actor=COMMAND)
    assert authenticate(username="admin", password=PASSWORD) == created
    User.objects.update(is_active=False, is_staff=False, is_superuser=False)
    registration.save_administrator("admin", f"{PASSWORD}23", actor=COMMAND)
    user = User.objects.get()
    assert authenticate(username="admin", password=f"{PASSWORD}23") == user
    assert (user.is_staff, user.is_superuser) == (True, True)
    events = AuditEvent.objects.order_by("id").values_list("action", "actor", "object_id", "details")
    assert list(events) == [
        ("user.password_set", "system:command", str(user.pk), {"created": True}),
        ("user.password_set", "system:command", str(user.pk), {"created": False}),
    ]


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("", PASSWORD),
        ("with spaces", PASSWORD),
        ("x" * 151, PASSWORD),
        ("admin", ""),
        ("admin", "short"),
        ("admin", "password1"),
        ("administrator", "administrator"),
    ],
)
def test_an_administrator_with_an_invalid_name_or_password_is_not_stored(
    username: str, password: str
) -> None:
    with pytest.raises(ValidationError):
        registration.save_administrator(username, password, actor=COMMAND)
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


def test_the_commands_explain_what_is_wrong_with_a_name_or_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="valid username"):
        call_command("new_credentials", user="with spaces", stdout=io.StringIO())
    monkeypatch.setenv("ADMIN_PASSWORD", "short")
    with pytest.raises(CommandError, match=r"ADMIN_PASSWORD.*too short") as caught:
        call_command("prepare_database", stdout=io.StringIO())
    assert "short'" not in str(caught.value)
    assert not User.objects.exists()
