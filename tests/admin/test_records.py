from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from people import audit, erasure, outbox, tasks
from people.failed_tasks import failed_tasks
from people.models import AuditEvent, Erasure, OutboxEntry, Person
from people.models.photo import photo_storage
from tests.actors import STAFF


@pytest.mark.parametrize("model", ["auditevent", "erasure", "outboxentry"])
def test_records_are_read_only(page: Client, db: None, model: str) -> None:
    assert page.get(reverse(f"admin:people_{model}_changelist")).status_code == 200
    assert page.post(reverse(f"admin:people_{model}_add")).status_code == 403


def test_an_event_can_be_neither_changed_nor_deleted(page: Client, db: None) -> None:
    event = audit.record("person.erased", actor=STAFF)
    for action in ("change", "delete"):
        url = reverse(f"admin:people_auditevent_{action}", args=[event.pk])
        assert page.post(url, {"post": "yes", "actor": "user:2"}).status_code == 403
    assert AuditEvent.objects.get().actor == STAFF.label


def test_the_audit_requires_permission_to_view_it(page_of: Callable[..., Client]) -> None:
    page = page_of("view_person", "change_person")
    assert page.get(reverse("admin:people_auditevent_changelist")).status_code == 403


def test_verify_audit_accepts_an_intact_chain(db: None) -> None:
    audit.record("person.erased", actor=STAFF)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert "Events: 1" in out.getvalue()


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


def test_the_list_of_erasures_takes_as_many_queries_for_ten_pending_as_for_one(
    page: Client, enrolled: Callable[..., Person], django_assert_max_num_queries: Any
) -> None:
    for seed in range(10):
        erasure.erase(enrolled(seed), actor=STAFF)
    with django_assert_max_num_queries(6):
        text = page.get(reverse("admin:people_erasure_changelist")).content.decode()
    assert text.count("1 purge pending") == 10


def test_staff_see_a_failed_purge_and_retry_it(
    page: Client, staff: User, enrolled: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure.erase(enrolled(1), actor=STAFF)
    with monkeypatch.context() as patch:
        patch.setattr(type(photo_storage()), "delete", lambda *args: None)
        for _ in range(outbox.MAX_ATTEMPTS):
            OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now())
            tasks.sweep()
    receipt, entry = Erasure.objects.get(), OutboxEntry.objects.get(done_at=None)
    listed = page.get(reverse("admin:people_outboxentry_changelist")).content.decode()
    assert "StillThere" in listed
    assert f"erasure {receipt.pk}" in listed
    shown = page.get(reverse("admin:people_erasure_changelist")).content.decode()
    assert "1 purge pending, 1 of them failed" in shown
    page.post(
        reverse("admin:people_outboxentry_changelist"), {"action": "retry", "_selected_action": [entry.pk]}
    )
    assert list(failed_tasks()) == []
    tasks.sweep()
    receipt.refresh_from_db()
    assert receipt.status == "complete"
    assert "complete, verified" in page.get(reverse("admin:people_erasure_changelist")).content.decode()
    event = AuditEvent.objects.get(action="outbox.retried")
    assert (event.actor, event.details) == (f"user:{staff.pk}", {"entries": 1})


def test_retrying_requires_permission_to_change_people(page_of: Callable[..., Client]) -> None:
    page = page_of("view_outboxentry")
    listed = page.get(reverse("admin:people_outboxentry_changelist"))
    assert listed.status_code == 200
    assert 'value="retry"' not in listed.content.decode()
