"""/ready responds in time even if a part that it checks hangs."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from celery import Celery
from django.db import connections
from django.test import Client

from facerec_site import health
from tests import servers


@pytest.mark.timeout(60)
def test_a_part_that_hangs_is_reported_as_unavailable_and_delays_no_other_check(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers.hung_server() as port, monkeypatch.context() as patch:
        # without timeouts of its own, so that only the deadline ends the check
        app = Celery("hung", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
        with closing(app):
            patch.setattr(health, "current_app", app)
            for _ in range(2):
                ready = client.get("/ready")
                assert (ready.status_code, ready.json()) == (
                    200,
                    {"status": "degraded", "database": "ok", "engine": "ok", "index": "ok",
                     "broker": "unavailable", "storage": "ok"},
                )  # fmt: skip
    # the hung server has stopped, and with it the check that hung
    assert client.get("/ready").json()["broker"] == "ok"


def test_the_checks_leave_no_database_connection_open(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_connection = connections["default"]
    opened: list[Any] = []
    connect = type(test_connection).connect

    def recording_connect(connection: Any) -> None:
        connect(connection)
        opened.append(connection)

    monkeypatch.setattr(type(test_connection), "connect", recording_connect)
    assert client.get("/ready").json()["database"] == "ok"
    check_connections = [connection for connection in opened if connection is not test_connection]
    assert check_connections
    assert all(connection.connection is None for connection in check_connections)
