"""Which old entries are deleted from the outbox, and which are kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from people import erasure, outbox, tasks
from people.models import Collection, Erasure, OutboxEntry, Person, Template
from tests.actors import STAFF
from tests.times import ago

Enrol = Callable[..., Person]


def _age(days: float, **entries: Any) -> None:
    OutboxEntry.objects.filter(**entries).update(done_at=ago(days=days))


def test_old_entries_are_deleted_except_the_newest_of_the_change_log(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    for seed in range(3):
        enrolled(seed)
    work()
    pending = outbox.request_file_purge("nothing.jpg", after=timedelta(days=1))
    newest = OutboxEntry.objects.filter(topic="person_changed").order_by("-pk")[0]
    _age(8, done_at__isnull=False)
    tasks.prune_outbox()
    assert set(OutboxEntry.objects.all()) == {newest, pending}


def test_recent_entries_are_kept(collection: Collection, enrolled: Enrol, work: Callable[[], None]) -> None:
    enrolled(1)
    work()
    _age(6, done_at__isnull=False)
    entries = OutboxEntry.objects.count()
    tasks.prune_outbox()
    assert OutboxEntry.objects.count() == entries


def test_the_change_log_has_no_gap_even_if_a_clock_was_set_back(
    collection: Collection, enrolled: Enrol
) -> None:
    for seed in range(4):
        enrolled(seed)
    log = list(OutboxEntry.objects.filter(topic="person_changed").order_by("pk"))
    _age(8, pk__in=[log[0].pk, log[2].pk])
    tasks.prune_outbox()
    assert list(OutboxEntry.objects.filter(topic="person_changed").order_by("pk")) == log[1:]


def test_many_old_entries_are_deleted_in_small_batches(
    collection: Collection, enrolled: Enrol, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        enrolled(seed)
    work()
    _age(8, done_at__isnull=False)
    monkeypatch.setattr(outbox, "PRUNED_AT_ONCE", 2)
    assert outbox.prune() == 4
    tasks.prune_outbox()
    assert OutboxEntry.objects.count() == 1


def test_entries_of_an_incomplete_receipt_are_kept(collection: Collection, enrolled: Enrol) -> None:
    receipt = erasure.erase(enrolled(1), actor=STAFF)
    OutboxEntry.objects.filter(topic="purge_file").update(erasure_id=receipt.pk, done_at=ago(days=8))
    tasks.prune_outbox()
    assert OutboxEntry.objects.filter(topic="purge_file").exists()
    Erasure.objects.update(completed_at=timezone.now())
    tasks.prune_outbox()
    assert not OutboxEntry.objects.filter(topic="purge_file").exists()
    assert not Template.objects.exists()
