"""/ready answers in time, whatever hangs."""

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
def test_a_part_that_hangs_is_told_as_unavailable_and_keeps_no_other(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers.hung_server() as port, monkeypatch.context() as patch:
        # without time-outs of its own: only the deadline ends it
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
    # the hung server ended, and with it what hung
    assert client.get("/ready").json()["broker"] == "ok"


def test_asking_leaves_no_database_connection_open(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = connections["default"]
    opened: list[Any] = []
    connect = type(ours).connect

    def noted(connection: Any) -> None:
        connect(connection)
        opened.append(connection)

    monkeypatch.setattr(type(ours), "connect", noted)
    assert client.get("/ready").json()["database"] == "ok"
    theirs = [connection for connection in opened if connection is not ours]
    assert theirs
    assert [connection.connection for connection in theirs] == [None] * len(theirs)
