from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from people import registration
from people.models import ApiKey, AuditEvent, Collection
from tests.admin.test_persons import Enrol
from tests.conftest import STAFF


@pytest.fixture
def client(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_a_key_is_shown_once_and_works(client: Client) -> None:
    form = {"label": "door", "scopes": ["detect", "identify"], "rate": "60/min"}
    page = client.post("/admin/people/apikey/add/", form)
    text = page.context["text"]
    assert text in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    key = ApiKey.matching(text)
    assert key is not None
    assert (key.label, key.scopes) == ("door", ["detect", "identify"])
    for path in ("", f"{key.pk}/change/"):
        assert text not in client.get(f"/admin/people/apikey/{path}").content.decode()
    assert text not in str(AuditEvent.objects.values())
    assert text not in str(client.session.items())


def test_a_revoked_key_opens_nothing(client: Client) -> None:
    key, text = ApiKey.issue(label="door", scopes=["detect"])
    client.post("/admin/people/apikey/", {"action": "revoke", "_selected_action": str(key.pk)})
    assert ApiKey.matching(text) is None
    assert AuditEvent.objects.filter(action="api_key.revoked", object_id=key.prefix).exists()
    assert client.post(f"/admin/people/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_key_is_changed_but_not_its_secret(client: Client) -> None:
    key, text = ApiKey.issue(label="door", scopes=["detect"])
    form = {"label": "gate", "scopes": ["identify"], "rate": "5/sec", "collection": "", "expires_at": ""}
    client.post(f"/admin/people/apikey/{key.pk}/change/", form)
    changed = ApiKey.matching(text)
    assert changed is not None
    assert (changed.label, changed.scopes, changed.rate) == ("gate", ["identify"], "5/sec")


def test_audit_and_erasures_are_read_only(client: Client, enrolled: Enrol) -> None:
    enrolled(1)
    event = AuditEvent.objects.first()
    assert event is not None
    assert client.get("/admin/people/auditevent/").status_code == 200
    assert client.get(f"/admin/people/auditevent/{event.pk}/change/").status_code == 200
    assert client.post(f"/admin/people/auditevent/{event.pk}/change/", {"actor": "x"}).status_code == 403
    assert client.post(f"/admin/people/auditevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/people/auditevent/add/").status_code == 403
    assert client.get("/admin/people/erasure/").status_code == 200


def test_the_history_of_a_person_is_the_audit(client: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    registration.save_person(person, actor=STAFF)
    page = client.get(f"/admin/people/person/{person.pk}/history/", follow=True)
    assert page.request["PATH_INFO"] == "/admin/people/auditevent/"
    assert "person.changed" in page.content.decode()


def test_a_collection_is_added_with_its_threshold_and_two_thresholds_are_refused(client: Client) -> None:
    form = {"name": "office", "description": "", "fpir": "0.001", "fmr": "", "min_similarity": ""}
    assert client.post("/admin/people/collection/add/", form).status_code == 302
    collection = Collection.objects.get()
    assert collection.fpir == 0.001
    page = client.post(f"/admin/people/collection/{collection.pk}/change/", {**form, "min_similarity": "80"})
    assert "Set one of fpir, fmr and min_similarity only." in page.content.decode()
    assert "FPIR 0.001" in client.get("/admin/people/collection/").content.decode()


def test_verify_audit_fails_when_an_event_was_changed(enrolled: Enrol) -> None:
    enrolled(1)
    call_command("verify_audit")
    AuditEvent.objects.filter(pk=AuditEvent.objects.order_by("id")[0].pk).update(actor="user:9")
    with pytest.raises(CommandError, match="was changed"):
        call_command("verify_audit")
