"""The number of queries of a search doesn't depend on the number of people and faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from people.models import Person
from tests import fakes
from tests.api.program import Program

Enrol = Callable[..., Person]
Queries = Callable[[int], Any]
IDENTIFY = "/api/v1/collections/default/identify/"
STRANGER = 9 if connection.vendor == "postgresql" else 8
"""Queries of a search without a match: key, collection, engine, number of people, change log, templates, and
the audit's last and new event. On PostgreSQL also a lock, which keeps events in order."""


@pytest.mark.parametrize("people", [1, 12])
@pytest.mark.parametrize("faces", [(9,), (9, 10, 11, 12)])
def test_a_search_takes_the_same_number_of_queries_for_any_number_of_people_and_faces(
    people: int, faces: tuple[int, ...], api: Program, enrolled: Enrol, django_assert_num_queries: Queries
) -> None:
    for seed in range(20, 20 + people):
        enrolled(seed)
    api.send_photo(IDENTIFY, fakes.photo(9))  # the first reads the templates
    with django_assert_num_queries(STRANGER):
        response = api.send_photo(IDENTIFY, fakes.photo(*faces))
    assert [face["decision"] for face in response.json()["faces"]] == ["no_match"] * len(faces)


def test_a_match_takes_one_more_query(
    api: Program, enrolled: Enrol, django_assert_num_queries: Queries
) -> None:
    enrolled(1)
    api.send_photo(IDENTIFY, fakes.photo(9))
    with django_assert_num_queries(STRANGER + 1):
        response = api.send_photo(IDENTIFY, fakes.photo(1))
    assert response.json()["faces"][0]["decision"] == "match"
