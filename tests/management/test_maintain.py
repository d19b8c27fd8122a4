"""`prepare_database`, `maintain` and the container's health check, as a deployment runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from facerec_site import container_health
from people import database, outbox
from people.models import AuditEvent, Collection, OutboxEntry, Person, Photo
from tests import fakes
from tests.actors import STAFF
from tests.pinecone_double import Double, pinecone_index
from tests.postgresql import postgresql
from tests.servers import free_port, hung_server

ROOT = Path(__file__).resolve().parents[2]


def _run(command: str) -> str:
    output = StringIO()
    call_command(command, stdout=output, stderr=output)
    return output.getvalue()


@pytest.mark.django_db
def test_the_first_preparation_creates_the_administrator_and_a_collection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "of-no-account-1")
    output = _run("prepare_database")
    admin = User.objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password("of-no-account-1")
    assert Collection.objects.filter(name="default").exists()
    assert AuditEvent.objects.filter(action="user.password_set").count() == 1
    assert "of-no-account-1" not in output


@pytest.mark.django_db
def test_a_later_preparation_leaves_the_administrator_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_superuser("someone", password="chosen")
    monkeypatch.setenv("ADMIN_PASSWORD", "of-no-account-1")
    _run("prepare_database")
    assert [user.username for user in User.objects.all()] == ["someone"]


@pytest.mark.django_db
def test_a_preparation_without_a_password_explains_how_to_create_an_administrator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    assert "createsuperuser" in _run("prepare_database")
    assert not User.objects.exists()


@pytest.mark.postgresql
def test_two_tasks_that_start_together_prepare_the_database_one_after_the_other(tmp_path: Path) -> None:
    with postgresql() as url:
        environment = {**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "development"}
        environment |= {"FACEREC_VAR_DIR": str(tmp_path), "ADMIN_PASSWORD": "of-no-account-1"}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        with psycopg.connect(url.replace("postgres://", "postgresql://", 1), autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [database._PREPARATION])
            tasks = [
                subprocess.Popen(
                    [sys.executable, "manage.py", "prepare_database"],
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for _ in range(2)
            ]
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            deadline = time.monotonic() + 60
            while connection.execute(waiting).fetchone() != (2,) and time.monotonic() < deadline:
                time.sleep(0.05)
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'people_person'")
            assert tables.fetchone() == (0,)
            connection.execute("SELECT pg_advisory_unlock(%s)", [database._PREPARATION])
            outputs = [task.communicate(timeout=60)[0] for task in tasks]
            assert [task.returncode for task in tasks] == [0, 0], outputs
            assert sum("ADMIN_PASSWORD" in output for output in outputs) == 1
            assert connection.execute("SELECT username FROM auth_user").fetchall() == [("admin",)]


@pytest.mark.postgresql
def test_the_preparation_fails_if_a_migration_fails(tmp_path: Path) -> None:
    with postgresql() as url:
        with psycopg.connect(url.replace("postgres://", "postgresql://", 1), autocommit=True) as connection:
            connection.execute("CREATE TABLE people_collection (id int)")  # conflicts with the migration
        environment = {**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "development"}
        environment |= {"FACEREC_VAR_DIR": str(tmp_path)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        task = subprocess.run(
            [sys.executable, "manage.py", "prepare_database"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert task.returncode != 0  # so that ECS doesn't start the service; see deploy/


@pytest.mark.django_db
def test_maintain_enrols_a_photo_whose_message_was_lost(collection: Collection, messages: list[int]) -> None:
    from people import enrolment

    person = Person.objects.create(collection=collection)
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    OutboxEntry.objects.update(due_at=photo.created_at)
    assert "processed: 1" in _run("maintain")
    photo.refresh_from_db()
    assert photo.status == Photo.Status.ACCEPTED


@pytest.mark.django_db
def test_maintain_fails_if_there_are_failed_tasks(enrolled: Callable[..., Person]) -> None:
    enrolled(1)
    OutboxEntry.objects.filter(topic=OutboxEntry.Topic.ENROL_PHOTO).update(
        attempts=outbox.MAX_ATTEMPTS, done_at=None
    )
    with pytest.raises(CommandError, match="Failed tasks: 1"):
        _run("maintain")


@pytest.mark.django_db
def test_maintain_applies_retention_even_if_the_index_is_unavailable(
    pinecone: Double, settings: Any, collection: Collection, enrolled: Callable[..., Person]
) -> None:
    enrolled(1)
    Collection.objects.update(erase_without_consent=True)
    Person.objects.update(consent_given_at=None)
    Photo.objects.update(created_at="2020-01-01T00:00:00Z")
    settings.TEMPLATE_INDEX = pinecone_index(pinecone)
    pinecone.faults.down = True
    with pytest.raises(CommandError, match="audit_index: "):
        _run("maintain")
    assert not Person.objects.exists()


def test_the_health_check_fails_without_a_server_or_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", str(free_port()))
    assert container_health.main() == 1
    monkeypatch.setattr(container_health, "TIMEOUT_SECONDS", 0.05)
    with hung_server() as port:
        monkeypatch.setenv("PORT", str(port))
        assert container_health.main() == 1


def test_the_health_check_passes_if_the_service_responds(
    live_server: Any, monkeypatch: pytest.MonkeyPatch, db: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", live_server.url.rsplit(":", 1)[1])
    assert container_health.main() == 0
