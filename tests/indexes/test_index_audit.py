"""Comparing Pinecone with the database, and repairing it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import nullcontext
from io import StringIO
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from people import index_sync, tasks
from people.index_sync import Comparison
from people.indexes.base import Space
from people.indexes.pinecone import namespace_of
from people.models import AuditEvent, Collection, MeanTemplate, OutboxEntry, Person
from tests.outbox_entries import a_failed_task
from tests.pinecone_double import Double

pytestmark = [
    pytest.mark.slow,  # a remote index returns a vector some time after it was sent
    pytest.mark.usefixtures("pinecone_in_use"),
]
Enrol = Callable[..., Person]


def _audit(*options: str, differs: bool = False) -> list[int]:
    """Run the command and return the numbers that it prints: of vectors, and last of failed purges.

    The vectors are those as expected, waiting, missing and extra. If `differs`, require that the command
    fails and names the option that repairs the index.
    """
    out = StringIO()
    failure = pytest.raises(CommandError, match="--repair") if differs else nullcontext()
    with failure:
        call_command("audit_index", *options, stdout=out)
    return [int(number) for number in re.findall(r"\d+", out.getvalue())]


def test_the_audit_succeeds_if_nothing_differs(
    collection: Collection, enrolled: Enrol, settle: Callable[[], None]
) -> None:
    for seed in range(3):
        enrolled(seed)
    settle()
    enrolled(4)
    assert _audit() == [3, 1, 0, 0, 0]
    assert index_sync.compare() == Comparison(kept=3, waiting=1)


def test_the_audit_reports_drift_and_repairs_it(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settle: Callable[[], None],
    namespace: str,
) -> None:
    for seed in range(110):
        enrolled(seed)
    settle()
    lost_ids = sorted(pinecone.stored()[namespace])[:5]
    pinecone.write("facerec-64", namespace, dict.fromkeys(lost_ids))
    pinecone.write("facerec-64", namespace, {str(uuid4()): np.ones(64)})
    pinecone.write("facerec-64", namespace_of(Space(uuid4(), "fake/1")), {str(uuid4()): np.ones(64)})
    assert _audit(differs=True) == [105, 0, 5, 2, 0]
    assert index_sync.compare() == Comparison(kept=105, missing=5, extra=2)
    assert _audit("--repair") == [105, 0, 5, 2, 0]
    event = AuditEvent.objects.get(action="index.repaired")
    assert (event.actor, event.details) == ("system:command", {"missing": 5, "extra": 2})
    settle()
    assert _audit("--repair") == [110, 0, 0, 0, 0]
    assert AuditEvent.objects.filter(action="index.repaired").count() == 1  # nothing differed
    assert index_sync.compare() == Comparison(kept=110)
    ids = MeanTemplate.objects.values_list("vector_id", flat=True)
    assert pinecone.stored() == {namespace: {str(pk) for pk in ids}}


def test_a_repair_retries_failed_purges_and_records_it_in_the_audit_log(
    collection: Collection, pinecone: Double
) -> None:
    entry = a_failed_task(
        OutboxEntry.Topic.PURGE_VECTOR, vector_id=uuid4(), collection_id=collection.pk, engine="fake/1"
    )
    *_, failed_purges = _audit(differs=True)
    assert failed_purges == 1
    *_, failed_purges = _audit("--repair")
    assert failed_purges == 1
    entry.refresh_from_db()
    assert entry.attempts == 0
    event = AuditEvent.objects.get(action="outbox.retried")
    assert (event.actor, event.details) == ("system:command", {"entries": 1})


def test_auditing_an_unavailable_index_fails_with_exit_code_2(
    collection: Collection, pinecone: Double
) -> None:
    pinecone.faults.down = True
    with pytest.raises(CommandError) as raised:
        call_command("audit_index")
    assert raised.value.returncode == 2


def test_the_scheduled_audit_logs_drift_as_an_error(
    collection: Collection,
    enrolled: Enrol,
    pinecone: Double,
    settle: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    namespace: str,
) -> None:
    enrolled(1)
    settle()
    pinecone.write("facerec-64", namespace, dict.fromkeys(pinecone.stored()[namespace]))
    tasks.audit_index()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.args == (1, 0)  # missing and extra vectors
