"""Celery with the production brokers, Redis and SQS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis
import requests
from celery import Celery
from kombu.utils import functional

from people import broker as people_broker
from tests import fakes, servers
from tests.production import production_setting
from tests.service import Service, running

pytestmark = pytest.mark.once


def _enrol(service: Service, seed: int, wait: int = 30) -> requests.Response:
    base = f"{service.url}/api/v1/collections/"
    requests.post(base, json={"name": "crowd"}, headers=service.headers, timeout=30)
    person = requests.post(f"{base}crowd/persons/", json={}, headers=service.headers, timeout=30).json()
    return requests.post(
        f"{base}crowd/persons/{person['id']}/photos/",
        files={"photo": fakes.photo(seed)},
        headers={**service.headers, "Prefer": f"wait={wait}"},
        timeout=60,
    )


def _no_photo_pending(service: Service, seconds: float = 60) -> bool:
    """Wait until no photo is pending, and return whether that happened in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if service.sql("SELECT count(*) FROM people_photo WHERE status = 'pending'")[0][0] == 0:
            return True
        time.sleep(0.2)
    return False


@pytest.mark.redis
def test_photos_are_enrolled_through_redis_even_if_it_is_flushed_or_restarted(tmp_path: Path) -> None:
    with (
        servers.redis_server() as server,
        running(tmp_path, FACEREC_TEST_FAKE_ENGINE="1", CELERY_BROKER_URL=server.url) as service,
    ):
        assert _enrol(service, 1).status_code == 201
        client = redis.Redis.from_url(server.url)
        for seed in range(2, 6):
            assert _enrol(service, seed, wait=0).status_code in (201, 202)
            client.flushall()
        client.close()
        assert _no_photo_pending(service)

        server.stop()
        assert _enrol(service, 6, wait=0).status_code == 202
        ready = requests.get(f"{service.url}/ready", timeout=30)
        assert ready.json()["broker"] == "unavailable"
        server.start()
        assert _no_photo_pending(service)
        assert service.sql("SELECT count(*) FROM people_template") == [(6,)]


def test_photos_are_enrolled_through_sqs(tmp_path: Path, aws: str) -> None:
    queue = boto3.client("sqs").create_queue(QueueName="facerec")["QueueUrl"]
    with running(
        tmp_path, FACEREC_TEST_FAKE_ENGINE="1", CELERY_BROKER_URL="sqs://", SQS_QUEUE_URL=queue
    ) as service:
        assert [_enrol(service, seed).status_code for seed in (1, 2, 3)] == [201, 201, 201]
        assert requests.get(f"{service.url}/ready", timeout=30).json()["broker"] == "ok"


@pytest.mark.parametrize("fault", ["refused", "hung"])
def test_an_unavailable_broker_is_tried_once_and_then_not_for_a_while(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with servers.hung_server() as hung:
        port = hung if fault == "hung" else servers.free_port()
        app = Celery("unavailable", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
        options = production_setting({}, "CELERY_BROKER_TRANSPORT_OPTIONS")
        app.conf.broker_transport_options = {**options, "socket_timeout": 0.2, "socket_connect_timeout": 0.2}
        sleeps: list[float] = []
        monkeypatch.setattr(functional, "sleep", sleeps.append)
        attempts: list[Any] = []
        send_task = app.send_task

        def counted_send_task(*args: Any, **options: Any) -> Any:
            attempts.append(args)
            return send_task(*args, **options)

        monkeypatch.setattr(app, "send_task", counted_send_task)
        monkeypatch.setattr(people_broker, "current_app", app)
        monkeypatch.setattr(people_broker, "_next_try", 0.0)
        for number in range(3):
            people_broker.notify(people_broker.Task.DELIVER, number)
        assert len(attempts) == 1
        assert sleeps == []  # by default kombu retries for six seconds
        logged = [(record.name, record.levelname) for record in caplog.records]
        assert logged.count(("people.broker", "WARNING")) == 1
        app.close()
