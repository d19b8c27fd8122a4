"""Failed tasks are listed after their last attempt; only they can be retried, and a retry is audited."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from people import outbox
from people.failed_tasks import failed_tasks, retry
from people.models import AuditEvent, OutboxEntry
from tests.actors import STAFF
from tests.outbox_entries import a_failed_task, an_entry

Topic = OutboxEntry.Topic
pytestmark = pytest.mark.django_db


def test_only_failed_tasks_are_retried_and_the_audit_log_has_their_number() -> None:
    failed_task = a_failed_task()
    others = [
        an_entry(attempts=outbox.MAX_ATTEMPTS - 1),
        a_failed_task(done_at=timezone.now()),
        a_failed_task(Topic.PERSON_CHANGED),
        # claimed: its last attempt may still succeed
        a_failed_task(due_at=timezone.now() + timedelta(seconds=30)),
    ]
    assert list(failed_tasks()) == [failed_task]
    before = list(OutboxEntry.objects.filter(pk__in=[entry.pk for entry in others]).values())
    assert retry(OutboxEntry.objects.all(), actor=STAFF) == 1
    assert list(OutboxEntry.objects.filter(pk__in=[entry.pk for entry in others]).values()) == before
    failed_task.refresh_from_db()
    assert failed_task.attempts == 0
    assert outbox.claim(failed_task.pk) is not None
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.details) == ("outbox.retried", "user:1", {"entries": 1})


def test_an_entry_whose_worker_died_on_the_last_attempt_is_a_failed_task_once_its_lease_expires() -> None:
    entry = an_entry(attempts=outbox.MAX_ATTEMPTS - 1)
    assert outbox.claim(entry.pk) is not None
    assert not failed_tasks().exists()
    OutboxEntry.objects.update(due_at=timezone.now())
    assert list(failed_tasks()) == [entry]


def test_retrying_nothing_is_not_audited() -> None:
    an_entry(attempts=1)
    assert retry(OutboxEntry.objects.all(), actor=STAFF) == 0
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_retry_wakes_a_worker(messages: list[int]) -> None:
    entry = a_failed_task()
    retry(OutboxEntry.objects.all(), actor=STAFF)
    assert messages == [entry.pk]
