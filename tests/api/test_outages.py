from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import InterfaceError, OperationalError, connection

from people.models import Person, Photo
from tests import fakes
from tests.api.program import IDENTIFY, Answer, Program

PERSONS = "/api/v1/collections/default/persons/"


def _is_told(answer: Answer, error: Exception, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer["Retry-After"] == "5"
    assert str(error) not in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("the connection is lost"), "database_unavailable"),
        (InterfaceError("the connection is closed"), "database_unavailable"),
        (OperationalError("database or disk is full"), "storage_unavailable"),
    ],
)
@pytest.mark.parametrize("table", ["", "people_apikey", "people_collection", "people_outboxentry"])
def test_a_database_that_fails_is_answered_with_503_and_when_to_come_again(
    error: Exception, code: str, table: str, api: Program, enrolled: Callable[..., Person]
) -> None:
    enrolled(1)

    def fails(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if table in sql:
            raise error
        return execute(sql, *rest)

    with connection.execute_wrapper(fails):
        answer = api.sends_photo(IDENTIFY, fakes.photo(1))
    # the embedded index follows the outbox's change log
    _is_told(answer, error, "index_unavailable" if table == "people_outboxentry" else code)


def test_a_disk_that_is_full_refuses_a_photo_and_keeps_nothing_of_it(
    api: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")

    def save(*args: Any, **options: Any) -> None:
        raise full

    person = api.post(PERSONS, {"name": "Ada"}).json()["id"]
    monkeypatch.setattr(FileSystemStorage, "_save", save)
    answer = api.sends_photo(f"{PERSONS}{person}/photos/", fakes.photo(1))
    _is_told(answer, full, "storage_unavailable")
    assert not Photo.objects.exists()
