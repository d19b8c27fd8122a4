from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from people import audit
from people.models import AuditEvent
from tests.conftest import STAFF


@pytest.mark.parametrize("model", ["auditevent", "erasure"])
def test_records_can_only_be_looked_at(page: Client, db: None, model: str) -> None:
    assert page.get(reverse(f"admin:people_{model}_changelist")).status_code == 200
    assert page.post(reverse(f"admin:people_{model}_add")).status_code == 403


def test_an_event_can_be_neither_changed_nor_deleted(page: Client, db: None) -> None:
    event = audit.record("person.erased", actor=STAFF)
    for action in ("change", "delete"):
        url = reverse(f"admin:people_auditevent_{action}", args=[event.pk])
        assert page.post(url, {"post": "yes", "actor": "user:2"}).status_code == 403
    assert AuditEvent.objects.get().actor == STAFF.label


def test_the_audit_is_closed_to_staff_without_the_permission(page_of: Callable[..., Client]) -> None:
    page = page_of("view_person", "change_person")
    assert page.get(reverse("admin:people_auditevent_changelist")).status_code == 403


def test_verify_audit_finds_the_chain_whole(db: None) -> None:
    audit.record("person.erased", actor=STAFF)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert "whole: 1 event" in out.getvalue()


def test_verify_audit_names_the_first_broken_event_and_fails(db: None) -> None:
    first, second = audit.record("person.erased", actor=STAFF), audit.record("person.erased", actor=STAFF)
    AuditEvent.objects.filter(pk=first.pk).update(actor="user:2")
    with pytest.raises(CommandError, match=f"event {first.pk} ") as raised:
        call_command("verify_audit")
    assert raised.value.returncode == 1
    AuditEvent.objects.filter(pk=first.pk).update(actor=STAFF.label)
    AuditEvent.objects.filter(pk=second.pk).update(previous_hash="0" * 64)
    with pytest.raises(CommandError, match=f"event {second.pk} "):
        call_command("verify_audit")
