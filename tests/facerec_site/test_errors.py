"""The responses to requests that fail outside the views."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, RequestFactory

from facerec_site import errors
from people.errors import IndexUnavailable, StorageUnavailable


def _lose_connection(*args: Any) -> None:
    raise OperationalError("the connection to 10.0.0.7 is lost")


@pytest.mark.parametrize("path", ["/admin/", "/admin/people/person/"])
def test_every_page_responds_with_503_if_the_database_is_unavailable(path: str, admin_client: Client) -> None:
    admin_client.raise_request_exception = False
    with connection.execute_wrapper(_lose_connection):
        response = admin_client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "10.0.0.7" not in response.content.decode()


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
def test_an_error_outside_the_apis_views_is_reported_by_its_code(
    error: Exception, status: int, code: str
) -> None:
    request = RequestFactory().get("/api/v1/collections/")
    try:
        raise error
    except Exception:
        response = errors.server_error(request)
    assert (response.status_code, json.loads(response.content)["code"]) == (status, code)
    assert response.get("Retry-After") == ("5" if status == 503 else None)
