"""What is answered when no view does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, RequestFactory

from facerec_site import errors
from people.errors import IndexUnavailable, StorageUnavailable


def _away(*args: Any) -> None:
    raise OperationalError("the connection to 10.0.0.7 is lost")


@pytest.mark.parametrize("path", ["/admin/", "/admin/people/person/"])
def test_every_page_says_that_the_database_is_away(path: str, admin_client: Client) -> None:
    admin_client.raise_request_exception = False
    with connection.execute_wrapper(_away):
        answer = admin_client.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "10.0.0.7" not in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("the connection is lost"), 503, "database_unavailable"),
        (InterfaceError("the connection is closed"), 503, "database_unavailable"),
        (OperationalError("database or disk is full"), 503, "storage_unavailable"),
        (OSError(28, "No space left on device"), 503, "storage_unavailable"),
        (StorageUnavailable(), 503, "storage_unavailable"),
        (IndexUnavailable(), 503, "index_unavailable"),
        (ValueError("a fault of ours"), 500, "internal_error"),
    ],
)
def test_what_failed_before_a_view_of_the_api_was_asked_is_told_by_its_code(
    error: Exception, status: int, code: str
) -> None:
    request = RequestFactory().get("/api/v1/collections/")
    try:
        raise error
    except Exception:
        answer = errors.server_error(request)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)
    assert answer.get("Retry-After") == ("5" if status == 503 else None)
