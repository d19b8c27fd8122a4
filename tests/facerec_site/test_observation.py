"""What logs and metrics contain, and which data never appears in them."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from celery import Celery
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, OperationalError, connection
from django.test import Client
from django.urls import reverse

import facerec_site.celery  # noqa: F401 its signals
from facerec_site.logs import configuration
from people.models import Collection, Person, Photo
from tests import fakes
from tests.service import running

ROOT = Path(__file__).resolve().parents[2]
NAME, EXTERNAL = "Ada-Lovelace-Byron", "emp-very-secret-17"
app = Celery("tasks of these tests", set_as_current=False)


@app.task
def logging_task() -> None:
    logging.getLogger("people.x").warning("During the task")


@app.task
def failing_task() -> None:
    raise IntegrityError(f"Key (name)=({NAME!r}) already exists.")


def test_json_logs_contain_request_ids_but_nothing_that_a_client_sent(tmp_path: Path) -> None:
    variables = {"FACEREC_TEST_FAKE_ENGINE": "1", "LOG_FORMAT": "json", "METRICS_TOKEN": "t0ken"}
    with running(tmp_path, **variables) as service:
        base = f"{service.url}/api/v1/collections/"
        headers = {**service.headers, "X-Request-ID": "the-tour"}
        requests.post(base, json={"name": "crowd"}, headers=headers, timeout=30)
        person = {"name": NAME, "external_id": EXTERNAL}
        created = requests.post(f"{base}crowd/persons/", json=person, headers=headers, timeout=30).json()
        duplicate = requests.post(f"{base}crowd/persons/", json=person, headers=headers, timeout=30)
        assert duplicate.status_code == 409
        photo = {"photo": (f"{NAME}.png", fakes.photo(1))}
        requests.post(
            f"{base}crowd/persons/{created['id']}/photos/", files=photo, headers=headers, timeout=60
        )
        requests.get(f"{base}crowd/persons/", params={"search": NAME}, headers=headers, timeout=30)
        requests.post(f"{base}crowd/identify/", files=photo, headers=headers, timeout=30)
        requests.post(f"{base}crowd/identify/", data=b"\xff" * 100, headers=headers, timeout=30)
        requests.get(f"{service.url}/nowhere?{NAME}", headers=headers, timeout=30)
        with socket.create_connection(("127.0.0.1", int(service.variables["PORT"])), timeout=30) as client:
            client.sendall(f"GET /?search=Ada {NAME} HTTP/1.1\r\n\r\n".encode())
            assert b"400 Bad Request" in client.recv(1024)
        assert requests.get(f"{service.url}/metrics", timeout=30).status_code == 401
        metrics = requests.get(
            f"{service.url}/metrics", headers={"Authorization": "Bearer t0ken"}, timeout=30
        ).text
        text = (tmp_path / "web.log").read_text()
        key = service.key
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    access_lines = [line for line in lines if line.get("request_id") == "the-tour" and "route" in line]
    assert len(access_lines) == 8
    assert {line["actor"] for line in access_lines} == {f"key:{key.split('_')[1]}", "-"}
    search = next(line for line in access_lines if line["method"] == "GET" and line["status"] == 200)
    assert search["route"] == "api/v1/collections/<str:collection>/persons/"
    assert search["duration_ms"] > 0
    for secret in (NAME, EXTERNAL, key, "t0ken", "search="):
        assert secret not in text
        assert secret not in (tmp_path / "worker.log").read_text()
    assert "Invalid request: InvalidHTTPVersion" in {line["message"] for line in lines}
    [message_with_address] = [line["message"] for line in lines if "127.0.0.1" in line["message"]]
    assert message_with_address.startswith("Listening at:")
    assert 'facerec_photos{status="accepted"} 1.0' in metrics
    assert 'facerec_faces_searched_total{decision="match"} 1.0' in metrics
    assert 'route="api/v1/collections/<str:collection>/identify/"' in metrics
    assert 'facerec_requests_total{method="GET",route="other",status="404"} 1.0' in metrics
    assert NAME not in metrics


@pytest.fixture(params=["line", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """The log's content, in each format."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    formatters = configuration(request.param)["formatters"]
    handler.setFormatter(DictConfigurator({}).configure_formatter(formatters["console"]))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def test_an_error_is_logged_with_its_type_and_causes_but_without_its_message(lines: StringIO) -> None:
    try:
        try:
            raise ValueError(f"Key (name)=({NAME}) already exists.")
        except ValueError as cause:
            raise IntegrityError(NAME) from cause
    except IntegrityError as error:
        logging.getLogger("x").exception("%s failed: %s, %r", "It", error, error)
    text = lines.getvalue()
    assert NAME not in text
    assert "It failed: IntegrityError, IntegrityError" in text
    assert "ValueError" in text
    assert "test_observation.py" in text


def test_an_exit_code_of_zero_is_not_replaced_in_the_digits_of_a_process_id(lines: StringIO) -> None:
    try:
        raise SystemExit(0)
    except SystemExit:
        logging.getLogger("x").warning("Worker exiting (pid: 20214)")
    assert "Worker exiting (pid: 20214)" in lines.getvalue()


def test_error_messages_in_log_lines_of_celery_and_django_are_replaced_by_the_error_type(
    client: Client, lines: StringIO
) -> None:
    failing_task.apply()
    client.get("/admin/", headers={"Host": f"{NAME}.example.org/"})
    text = lines.getvalue()
    assert "raised unexpected: IntegrityError" in text
    assert "DisallowedHost" in text
    assert NAME not in text


def test_a_path_is_logged_as_its_route_and_with_the_request_id(
    lines: StringIO, staff: User, settings: Any
) -> None:
    session = Client(enforce_csrf_checks=True, raise_request_exception=False)
    session.force_login(staff)
    page = f"/admin/people/person/{uuid4()}/"
    headers = {"X-Request-ID": "the-tour", "User-Agent": "Netscape", "X-Forwarded-For": "203.0.113.7"}

    def unavailable(*args: Any) -> None:
        raise OperationalError(NAME)

    session.post(f"{page}delete/", headers=headers)
    with connection.execute_wrapper(unavailable):
        session.get(f"{page}change/?name={NAME}", headers=headers)
        session.get(f"/api/v1/collections/{NAME}/", headers=headers)
    text = lines.getvalue()
    assert text.count("request_id") == text.count("the-tour") >= 6
    assert "Service Unavailable: admin/people/person/<path:object_id>/change/" in text
    assert "Service Unavailable: api/v1/collections/<str:collection>/" in text
    assert "): admin/people/person/<path:object_id>/delete/" in text
    for secret in (page, NAME, "Netscape", "203.0.113.7", "127.0.0.1", "?"):
        assert secret not in text


def test_lines_logged_during_a_task_name_it_and_later_lines_do_not(lines: StringIO) -> None:
    result = logging_task.apply()
    logging.getLogger("people.x").warning("Afterwards")
    during, afterwards = (line for line in lines.getvalue().splitlines() if "people.x" in line)
    assert result.id in during
    assert logging_task.name in during
    assert "task" not in afterwards


@pytest.mark.once
def test_all_loggers_of_a_worker_use_the_same_format(tmp_path: Path) -> None:
    script = (
        "import logging, billiard.util, django\n"
        "from facerec_site.celery import app\n"
        "django.setup()\n"
        "app.log.setup(loglevel='INFO', redirect_stdouts=True)\n"
        "for name in ('people.tasks', 'celery.worker', 'celery.task'):\n"
        "    logging.getLogger(name).info('Said')\n"
        "billiard.util.get_logger().error('Said')\n"
    )
    variables = {"LOG_FORMAT": "json", "ENVIRONMENT": "development", "FACEREC_VAR_DIR": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "facerec_site.settings.development", **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in process.stderr.splitlines()]
    assert [(line["logger"], line["message"]) for line in lines] == [
        (name, "Said") for name in ("people.tasks", "celery.worker", "celery.task", "multiprocessing")
    ]


def test_only_known_extra_attributes_are_logged(lines: StringIO) -> None:
    logging.getLogger("x").warning("Said", extra={"status": 200, "data": {"args": NAME}, "ip": "203.0.113.7"})
    assert "200" in lines.getvalue()
    assert NAME not in lines.getvalue()
    assert "203.0.113.7" not in lines.getvalue()


def test_metrics_are_not_found_if_no_token_is_set(client: Client, db: None) -> None:
    assert client.get("/metrics").status_code == 404


def test_metrics_include_counts_from_the_database(
    client: Client, settings: Any, enrolled: Callable[..., Person]
) -> None:
    settings.METRICS_TOKEN = "t0ken"
    enrolled(1)
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    text = client.get("/metrics", headers={"authorization": "Bearer t0ken"}).content.decode()
    for line in (
        "facerec_persons 1.0",
        "facerec_dead_letters 0.0",
        'facerec_outbox_backlog{topic="enrol_photo"} 1.0',
    ):
        assert line in text


def test_embedded_metrics_follow_cloudwatchs_specification(
    client: Client,
    settings: Any,
    db: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.METRICS_EMF = True
    lines: list[str] = []
    monkeypatch.setattr("facerec_site.observation.emf.info", lines.append)
    client.get("/ready")
    [record] = [json.loads(line) for line in lines]
    [directive] = record["_aws"]["CloudWatchMetrics"]
    assert isinstance(record["_aws"]["Timestamp"], int)
    assert directive["Namespace"] == "facerec"
    for name in [*directive["Dimensions"][0], *(metric["Name"] for metric in directive["Metrics"])]:
        assert name in record
    assert all(isinstance(record[name], str) for name in directive["Dimensions"][0])
    assert record["Route"] == "ready"


def test_an_upload_to_a_full_disk_shows_an_error_and_leaves_no_photo(
    collection: Collection, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person.objects.create(collection=collection)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    file = BytesIO(fakes.photo(1))
    file.name = "photo.png"
    response = admin_client.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"collection": collection.pk, "status": "active", "metadata": "{}", "photos": file},
        follow=True,
    )
    assert "“photo.png”: " in response.content.decode()
    assert not Photo.objects.exists()
