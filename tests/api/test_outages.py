from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache.backends.base import InvalidCacheBackendError
from django.db import InterfaceError, OperationalError

from people import identification
from people.api import throttling
from people.models import Person
from tests import fakes
from tests.api.conftest import Program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("the connection is lost"), "database_unavailable"),
        (InterfaceError("the connection is closed"), "database_unavailable"),
        (OperationalError("database or disk is full"), "storage_unavailable"),
        (OSError(28, "No space left on device"), "storage_unavailable"),
    ],
)
def test_an_outage_is_answered_with_503_and_when_to_come_again(
    error: Exception,
    code: str,
    api: Program,
    enrolled: Callable[..., Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enrolled(1)

    def away(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(identification, "identify", away)
    answer = api.sends_photo("/api/v1/collections/default/identify/", fakes.photo(1))
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer["Retry-After"] == "5"
    assert str(error) not in answer.content.decode()


def test_requests_are_answered_uncounted_while_the_cache_is_away(
    api: Program, enrolled: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(1)

    def away(*args: Any, **options: Any) -> None:
        raise InvalidCacheBackendError

    monkeypatch.setattr(throttling.cache, "add", away)
    assert api.get("/api/v1/collections/default/persons/").status_code == 200
