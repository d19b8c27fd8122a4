"""API keys are validated and audited when issued, changed or revoked; their full text is never stored."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from people import api_keys, erasure
from people.models import ApiKey, AuditEvent, Collection
from tests.actors import STAFF

pytestmark = pytest.mark.django_db
VALID: dict[str, Any] = {"label": "door", "scopes": ["detect", "identify"], "rate": "60/min"}


def _actions() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("action", "actor"))


def test_a_keys_text_authenticates_and_only_its_hash_is_stored() -> None:
    key, text = api_keys.issue(**VALID, actor=STAFF)
    assert re.fullmatch(r"frk_[0-9a-f]{8}_[\w-]{43}", text)
    assert api_keys.matching(text) == key
    secret = text.split("_", 2)[2]
    assert secret not in str(ApiKey.objects.values())
    assert secret not in str(AuditEvent.objects.values())


def test_issuing_a_key_is_audited_with_its_prefix_collection_and_scopes(collection: Collection) -> None:
    key, _ = api_keys.issue(**VALID, collection=collection, actor=STAFF)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id) == ("api_key.issued", "user:1", key.prefix)
    assert (event.collection_id, event.details) == (collection.pk, {"scopes": ["detect", "identify"]})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", ""),
        ("label", "x" * 101),
        ("scopes", []),
        ("scopes", ["detect", "everything"]),
        ("rate", ""),
        ("rate", "0/min"),
        ("rate", "60"),
        ("rate", "60/week"),
        ("collection", Collection(name="never stored")),
    ],
)
def test_an_invalid_key_is_not_issued(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        api_keys.issue(**{**VALID, field: value}, actor=STAFF)
    assert set(caught.value.message_dict) == {field}
    assert not ApiKey.objects.exists()
    assert _actions() == []


def test_label_rate_and_expiry_can_change_and_the_audit_lists_the_changed_fields() -> None:
    key, text = api_keys.issue(**VALID, actor=STAFF)
    key.label, key.expires_at = "gate", timezone.now() + timedelta(days=1)
    changed = api_keys.change(key, actor=STAFF)
    assert api_keys.matching(text) == changed
    assert (changed.label, changed.rate, changed.expires_at) == ("gate", "60/min", key.expires_at)
    event = AuditEvent.objects.get(action="api_key.changed")
    assert (event.object_id, event.details) == (key.prefix, {"changed": ["label", "expires_at"]})


def test_no_other_field_of_a_key_can_change(collection: Collection) -> None:
    key, text = api_keys.issue(**VALID, collection=collection, actor=STAFF)
    before = ApiKey.objects.values().get()
    key.scopes, key.collection, key.prefix, key.secret_hash = ["erase"], None, "00000000", "0" * 64
    assert api_keys.change(key, actor=STAFF).scopes == VALID["scopes"]
    assert ApiKey.objects.values().get() == before
    assert api_keys.matching(text) is not None


@pytest.mark.parametrize(("field", "value"), [("label", ""), ("rate", "often")])
def test_an_invalid_change_is_not_stored(field: str, value: str) -> None:
    key, _ = api_keys.issue(**VALID, actor=STAFF)
    setattr(key, field, value)
    with pytest.raises(ValidationError):
        api_keys.change(key, actor=STAFF)
    assert getattr(ApiKey.objects.get(), field) == VALID[field]
    assert _actions() == [("api_key.issued", "user:1")]


def test_changing_a_key_does_not_restore_it_after_a_revocation() -> None:
    key, text = api_keys.issue(**VALID, actor=STAFF)
    assert api_keys.revoke(key, actor=STAFF)
    key.label = "gate"
    api_keys.change(key, actor=STAFF)
    assert api_keys.matching(text) is None


def test_a_key_deleted_with_its_collection_cannot_be_changed(collection: Collection) -> None:
    key, _ = api_keys.issue(**VALID, collection=collection, actor=STAFF)
    erasure.erase_collection(collection, actor=STAFF)
    key.label = "gate"
    with pytest.raises(ApiKey.DoesNotExist):
        api_keys.change(key, actor=STAFF)
    assert not ApiKey.objects.exists()


def test_the_audit_lists_the_keys_deleted_with_their_collection(collection: Collection) -> None:
    key, _ = api_keys.issue(**VALID, collection=collection, actor=STAFF)
    api_keys.issue(**VALID, actor=STAFF)
    erasure.erase_collection(collection, actor=STAFF)
    event = AuditEvent.objects.get(action="collection.deleted")
    assert event.details == {"persons": 0, "api_keys": [key.prefix]}


def test_a_key_is_revoked_and_audited_once() -> None:
    key, text = api_keys.issue(**VALID, actor=STAFF)
    assert api_keys.revoke(key, actor=STAFF)
    assert not api_keys.revoke(key, actor=STAFF)
    assert api_keys.matching(text) is None
    assert _actions() == [("api_key.issued", "user:1"), ("api_key.revoked", "user:1")]


@pytest.mark.parametrize(
    "text", ["", "frk_", "frk__", "frk_00000000_", "frk_00000000", "key_00000000_x", "ü_ü_ü"]
)
def test_text_that_is_not_a_key_matches_no_key(text: str) -> None:
    assert api_keys.matching(text) is None


@pytest.fixture
def page(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def _issued_in_the_admin(page: Client) -> None:
    page.post(reverse("admin:people_apikey_add"), VALID)


def _issued_by_the_command(page: Client) -> None:
    call_command("new_credentials", stdout=io.StringIO())


def _changed_in_the_admin(page: Client) -> None:
    key, _ = api_keys.issue(**VALID, actor=STAFF)
    page.post(reverse("admin:people_apikey_change", args=[key.pk]), {"label": "gate", "rate": "60/min"})


def _revoked_in_the_admin(page: Client) -> None:
    key, _ = api_keys.issue(**VALID, actor=STAFF)
    page.post(reverse("admin:people_apikey_changelist"), {"action": "revoke", "_selected_action": key.pk})


@pytest.mark.parametrize(
    ("operate", "action", "actor"),
    [
        (_issued_in_the_admin, "api_key.issued", "user:"),
        (_issued_by_the_command, "api_key.issued", "system:command"),
        (_changed_in_the_admin, "api_key.changed", "user:"),
        (_revoked_in_the_admin, "api_key.revoked", "user:"),
    ],
)
def test_every_way_to_change_a_key_is_audited_with_its_actor(
    operate: Callable[[Client], None], action: str, actor: str, page: Client, staff: User
) -> None:
    operate(page)
    event = AuditEvent.objects.filter(action=action).latest("id")
    assert event.actor == (f"user:{staff.pk}" if actor == "user:" else actor)
    assert event.object_id == ApiKey.objects.get().prefix


def test_staff_see_an_error_if_the_key_is_deleted_while_they_change_it(
    page: Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = api_keys.issue(**VALID, collection=collection, actor=STAFF)
    change = api_keys.change

    def delete_first(*args: Any, **options: Any) -> ApiKey:
        monkeypatch.setattr(api_keys, "change", change)
        erasure.erase_collection(collection, actor=STAFF)
        return change(*args, **options)

    monkeypatch.setattr(api_keys, "change", delete_first)
    url = reverse("admin:people_apikey_change", args=[key.pk])
    response = page.post(url, {"label": "gate", "rate": "60/min"}, follow=True)
    assert [message.level for message in response.context["messages"]] == [messages.ERROR]
