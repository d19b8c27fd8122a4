"""What logs and metrics tell, and what they never do."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from facerec_site.logs import LineFormatter, json_formatter
from people.models import Collection, Person, Photo
from tests import fakes
from tests.service import running

NAME, EXTERNAL = "Ada-Lovelace-Byron", "emp-very-secret-17"


def test_json_logs_bear_request_ids_and_never_what_a_person_sent(tmp_path: Path) -> None:
    variables = {"FACEREC_TEST_FAKE_ENGINE": "1", "LOG_FORMAT": "json", "METRICS_TOKEN": "t0ken"}
    with running(tmp_path, **variables) as service:
        base = f"{service.url}/api/v1/collections/"
        headers = {**service.headers, "X-Request-ID": "the-tour"}
        requests.post(base, json={"name": "crowd"}, headers=headers, timeout=30)
        person = {"name": NAME, "external_id": EXTERNAL}
        created = requests.post(f"{base}crowd/persons/", json=person, headers=headers, timeout=30).json()
        again = requests.post(f"{base}crowd/persons/", json=person, headers=headers, timeout=30)
        assert again.status_code == 409
        photo = {"photo": (f"{NAME}.png", fakes.photo(1))}
        requests.post(
            f"{base}crowd/persons/{created['id']}/photos/", files=photo, headers=headers, timeout=60
        )
        requests.get(f"{base}crowd/persons/", params={"search": NAME}, headers=headers, timeout=30)
        requests.post(f"{base}crowd/identify/", files=photo, headers=headers, timeout=30)
        requests.post(f"{base}crowd/identify/", data=b"\xff" * 100, headers=headers, timeout=30)
        requests.get(f"{service.url}/nowhere?{NAME}", headers=headers, timeout=30)
        assert requests.get(f"{service.url}/metrics", timeout=30).status_code == 401
        metrics = requests.get(
            f"{service.url}/metrics", headers={"Authorization": "Bearer t0ken"}, timeout=30
        ).text
        text = (tmp_path / "web.log").read_text()
        key = service.key
    lines = [json.loads(line) for line in text.splitlines()]
    told = [line for line in lines if line.get("request_id") == "the-tour" and "route" in line]
    assert len(told) == 8
    assert {line["actor"] for line in told} == {f"key:{key.split('_')[1]}", "-"}
    search = next(line for line in told if line["method"] == "GET" and line["status"] == 200)
    assert search["route"] == "api/v1/collections/<str:collection>/persons/"
    assert search["duration_ms"] > 0
    for secret in (NAME, EXTERNAL, key, "t0ken", "search="):
        assert secret not in text
        assert secret not in (tmp_path / "worker.log").read_text()
    assert 'facerec_photos{status="accepted"} 1.0' in metrics
    assert 'facerec_faces_searched_total{decision="match"} 1.0' in metrics
    assert 'route="api/v1/collections/<str:collection>/identify/"' in metrics
    assert 'facerec_requests_total{method="GET",route="other",status="404"} 1.0' in metrics
    assert NAME not in metrics


@pytest.mark.parametrize("formatter", [LineFormatter(), json_formatter()])
def test_an_errors_text_is_not_told_but_its_kind_and_causes_are(formatter: logging.Formatter) -> None:
    try:
        try:
            raise ValueError(f"Key (name)=({NAME}) already exists.")
        except ValueError as cause:
            raise IntegrityError(NAME) from cause
    except IntegrityError:
        record = logging.getLogger("x").makeRecord("x", 40, __file__, 1, "It failed", (), _caught())
    text = formatter.format(record)
    assert NAME not in text
    assert "IntegrityError" in text
    assert "ValueError" in text
    assert "test_observation.py" in text


def _caught() -> Any:
    return sys.exc_info()


def test_there_are_no_metrics_without_a_token_for_them(client: Client, db: None) -> None:
    assert client.get("/metrics").status_code == 404


def test_metrics_tell_what_the_database_holds(
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
    [told] = [json.loads(line) for line in lines]
    [directive] = told["_aws"]["CloudWatchMetrics"]
    assert isinstance(told["_aws"]["Timestamp"], int)
    assert directive["Namespace"] == "facerec"
    for name in [*directive["Dimensions"][0], *(metric["Name"] for metric in directive["Metrics"])]:
        assert name in told
    assert all(isinstance(told[name], str) for name in directive["Dimensions"][0])
    assert told["Route"] == "ready"


def test_staff_read_that_the_disk_is_full_and_nothing_is_left_of_the_photo(
    collection: Collection, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person.objects.create(collection=collection)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    file = BytesIO(fakes.photo(1))
    file.name = "photo.png"
    answer = admin_client.post(
        reverse("admin:people_person_change", args=[person.pk]),
        {"collection": collection.pk, "status": "active", "metadata": "{}", "photos": file},
        follow=True,
    )
    assert "“photo.png”: The storage can&#x27;t be used now." in answer.content.decode()
    assert not Photo.objects.exists()
