from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import InterfaceError, OperationalError, connection

from people.models import Person, Photo
from tests import fakes
from tests.api.program import IDENTIFY, Program, Response

PERSONS = "/api/v1/collections/default/persons/"


def _check_outage(response: Response, error: Exception, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (503, code)
    assert response["Retry-After"] == "5"
    assert str(error) not in response.content.decode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("the connection is lost"), "database_unavailable"),
        (InterfaceError("the connection is closed"), "database_unavailable"),
        (OperationalError("database or disk is full"), "storage_unavailable"),
    ],
)
@pytest.mark.parametrize("table", ["", "people_apikey", "people_collection", "people_outboxentry"])
def test_a_database_outage_returns_503_with_retry_after(
    error: Exception, code: str, table: str, api: Program, enrolled: Callable[..., Person]
) -> None:
    enrolled(1)

    def fails(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if table in sql:
            raise error
        return execute(sql, *rest)

    with connection.execute_wrapper(fails):
        response = api.send_photo(IDENTIFY, fakes.photo(1))
    # the embedded index follows the outbox's change log
    _check_outage(response, error, "index_unavailable" if table == "people_outboxentry" else code)


def test_a_photo_is_refused_and_not_kept_when_the_disk_is_full(
    api: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")

    def save(*args: Any, **options: Any) -> None:
        raise full

    person = api.post(PERSONS, {"name": "Ada"}).json()["id"]
    monkeypatch.setattr(FileSystemStorage, "_save", save)
    response = api.send_photo(f"{PERSONS}{person}/photos/", fakes.photo(1))
    _check_outage(response, full, "storage_unavailable")
    assert not Photo.objects.exists()
