"""Failures outside Django: the worker's responses and log messages."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http import errors as gunicorn_errors

from facerec_site.refusing import RefusingWorker

SECRET = "Ada Lovelace"
WORKER: Any = SimpleNamespace(log=logging.getLogger("gunicorn.error.test"))


def _response(error: Exception) -> tuple[bytes, dict[str, Any]]:
    server_side, client = socket.socketpair()
    with closing(server_side), closing(client):
        RefusingWorker.handle_error(WORKER, None, server_side, None, error)
        head, _, body = client.recv(10_000).partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (gunicorn_errors.InvalidHeader(SECRET), 400, "malformed"),
        (gunicorn_errors.LimitRequestLine(5_000, 4_094), 414, "uri_too_long"),
        (gunicorn_errors.InvalidResponseHeader(SECRET), 500, "internal_error"),  # type: ignore[attr-defined]  # too new for the stubs
        (gunicorn_errors.ConfigurationProblem(SECRET), 500, "internal_error"),
        (ValueError(SECRET), 500, "internal_error"),
        (RecursionError(SECRET), 500, "internal_error"),
    ],
)
def test_a_clients_fault_is_a_4xx_response_and_ours_a_500_and_neither_quotes_the_request(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    line, problem = _response(error)
    assert line.startswith(f"HTTP/1.1 {status} ".encode())
    assert (problem["status"], problem["code"]) == (status, code)
    assert SECRET not in str(problem)
    assert [record.levelno for record in caplog.records] == [
        logging.ERROR if status == 500 else logging.WARNING
    ]
    assert SECRET not in caplog.records[0].getMessage()


def test_a_client_that_has_disconnected_is_not_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    server_side, client = socket.socketpair()
    client.close()
    with closing(server_side):
        RefusingWorker.handle_error(WORKER, None, server_side, None, gunicorn_errors.InvalidHeader("x"))
    assert all(record.levelno < logging.ERROR for record in caplog.records)
