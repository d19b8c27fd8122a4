"""What a deployment runs before it serves (`prepare_database`) and once a day (`maintain`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, connections

from facerec_site import probe
from people import outbox
from people.management.commands import prepare_database
from people.models import AuditEvent, Collection, OutboxEntry, Person, Photo
from tests import fakes
from tests.conftest import STAFF, pinecone_index
from tests.pinecone_double import Double
from tests.servers import free_port, hung_server


def _run(command: str) -> str:
    said = StringIO()
    call_command(command, stdout=said, stderr=said)
    return said.getvalue()


@pytest.mark.django_db
def test_the_first_preparation_makes_the_administrator_and_a_collection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "of-no-account-1")
    said = _run("prepare_database")
    admin = User.objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password("of-no-account-1")
    assert Collection.objects.filter(name="default").exists()
    assert AuditEvent.objects.filter(action="user.password_set").count() == 1
    assert "of-no-account-1" not in said


@pytest.mark.django_db
def test_a_later_preparation_leaves_the_administrator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_superuser("someone", password="chosen")
    monkeypatch.setenv("ADMIN_PASSWORD", "of-no-account-1")
    _run("prepare_database")
    assert [user.username for user in User.objects.all()] == ["someone"]


@pytest.mark.django_db
def test_a_preparation_without_a_password_says_how_an_administrator_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    assert "createsuperuser" in _run("prepare_database")
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's migrations lock by themselves")
def test_a_preparation_waits_for_the_one_that_runs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [prepare_database.LOCK])
    done = threading.Event()

    def prepare() -> None:
        _run("prepare_database")
        done.set()
        connections.close_all()

    other = threading.Thread(target=prepare)
    other.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                break
        done.wait(0.01)
    assert not done.is_set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [prepare_database.LOCK])
    other.join(30)
    assert done.is_set()


@pytest.mark.django_db
def test_the_daily_round_enrols_what_a_lost_message_left(collection: Collection, messages: list[int]) -> None:
    from people import enrolment

    person = Person.objects.create(collection=collection)
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    OutboxEntry.objects.update(due_at=photo.created_at)
    assert "1 entries were due" in _run("maintain")
    photo.refresh_from_db()
    assert photo.status == Photo.Status.ACCEPTED


@pytest.mark.django_db
def test_the_daily_round_fails_when_work_was_given_up(enrolled: Callable[..., Person]) -> None:
    enrolled(1)
    OutboxEntry.objects.filter(topic=OutboxEntry.Topic.ENROL_PHOTO).update(
        attempts=outbox.MAX_ATTEMPTS, done_at=None
    )
    with pytest.raises(CommandError, match="1 pieces of work were given up"):
        _run("maintain")


@pytest.mark.django_db
def test_the_daily_round_applies_retention_also_when_the_index_is_away(
    pinecone: Double, settings: Any, collection: Collection, enrolled: Callable[..., Person]
) -> None:
    enrolled(1)
    Collection.objects.update(erase_without_consent=True)
    Person.objects.update(consent_given_at=None)
    Photo.objects.update(created_at="2020-01-01T00:00:00Z")
    settings.TEMPLATE_INDEX = pinecone_index(pinecone)
    pinecone.faults.down = True
    with pytest.raises(CommandError, match="audit_index: The index can't be asked"):
        _run("maintain")
    assert not Person.objects.exists()


def test_the_probe_fails_when_nobody_listens_or_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", str(free_port()))
    assert probe.main() == 1
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 0.05)
    with hung_server() as port:
        monkeypatch.setenv("PORT", str(port))
        assert probe.main() == 1


def test_the_probe_passes_where_health_answers(
    live_server: Any, monkeypatch: pytest.MonkeyPatch, db: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", live_server.url.rsplit(":", 1)[1])
    assert probe.main() == 0
