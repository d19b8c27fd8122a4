from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from people import api_keys
from people.models import ApiKey, AuditEvent, Collection
from tests.actors import STAFF

KEY = re.compile(rb"frk_[0-9a-f]{8}_[\w-]{43}")
FORM = {
    "label": "door",
    "scopes": ["detect", "identify"],
    "rate": "60/min",
    "collection": "",
    "expires_at": "",
}


def issue(page: Client, **changes: str) -> bytes:
    response = page.post(reverse("admin:people_apikey_add"), {**FORM, **changes})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.content


def test_a_key_is_shown_once_and_not_stored(page: Client, staff: User) -> None:
    text = KEY.search(issue(page))
    assert text is not None
    key = api_keys.matching(text[0].decode())
    assert key is not None
    assert (key.label, key.scopes, key.rate) == ("door", ["detect", "identify"], "60/min")
    for url in (
        reverse("admin:people_apikey_changelist"),
        reverse("admin:people_apikey_change", args=[key.pk]),
        reverse("admin:people_auditevent_changelist"),
        reverse("admin:index"),
    ):
        assert not KEY.search(page.get(url).content)
    secret = text[0].decode().split("_", 2)[2]
    assert secret not in str(list(page.session.items()))
    assert secret not in str(page.cookies)
    event = AuditEvent.objects.get(action="api_key.issued")
    assert (event.actor, event.object_id) == (f"user:{staff.pk}", key.prefix)


def test_a_key_without_scopes_is_not_issued(page: Client) -> None:
    assert not KEY.search(page.post(reverse("admin:people_apikey_add"), {**FORM, "scopes": []}).content)
    assert not ApiKey.objects.exists()


def test_only_label_rate_and_expiry_of_a_key_can_change(page: Client, collection: Collection) -> None:
    key, text = api_keys.issue(label="door", scopes=["detect"], collection=collection, actor=STAFF)
    page.post(
        reverse("admin:people_apikey_change", args=[key.pk]),
        {"label": "gate", "rate": "5/sec", "scopes": ["erase"], "collection": "", "expires_at": ""},
    )
    changed = api_keys.matching(text)
    assert changed is not None
    assert (changed.label, changed.rate) == ("gate", "5/sec")
    assert (changed.scopes, changed.collection) == (["detect"], collection)
    assert AuditEvent.objects.filter(action="api_key.changed", object_id=key.prefix).exists()


def test_a_revoked_key_no_longer_works_and_stays_listed(page: Client) -> None:
    key, text = api_keys.issue(label="door", scopes=["detect"], actor=STAFF)
    url = reverse("admin:people_apikey_changelist")
    page.post(url, {"action": "revoke", "_selected_action": key.pk, "post": "yes"})
    assert api_keys.matching(text) is None
    assert b"revoked" in page.get(url).content
    assert AuditEvent.objects.filter(action="api_key.revoked", object_id=key.prefix).count() == 1
    assert page.post(reverse("admin:people_apikey_delete", args=[key.pk]), {"post": "yes"}).status_code == 403


def test_the_history_of_a_key_is_its_audit_events(page: Client) -> None:
    issue(page)
    url = reverse("admin:people_apikey_history", args=[ApiKey.objects.get().pk])
    assert b"api_key.issued" in page.get(url, follow=True).content
