"""Lists contain every row once, in both directions and any ordering, even if rows are added and deleted."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from people.models import Collection, ImportItem, ImportJob, Person, Photo
from people.models.guarded import delete_rows
from tests.api.program import Program

COLLECTION = "/api/v1/collections/default/"
PERSON_ORDERINGS = ["created_at", "-created_at", "name", "-name", "external_id", "-external_id"]
LISTS = {
    "collections": "-created_at",
    "photos": "-created_at",
    "accepted photos": "-created_at",
    "imports": "-created_at",
    "items": "number",
    "pending items": "number",
    **{f"people by {ordering}": ordering for ordering in PERSON_ORDERINGS},
}
"""Every list and ordering, with the column that it is ordered by."""
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 23
Queries = Callable[[int], Any]


@pytest.fixture
def api(program: Callable[..., Program]) -> Program:
    return program(rate="1000000/min")


@pytest.fixture
def url(collection: Collection) -> Callable[[str], str]:
    """Fill every list with ROWS rows, some of which share a value or have none. Return a list's URL."""
    person = Person.objects.create(collection=collection, name="Zoe", external_id="zoe")
    job = ImportJob.objects.create(collection=collection, source="zip", location="people.zip")
    Collection.objects.bulk_create(Collection(name=f"c{number}") for number in range(ROWS - 1))
    Person.objects.bulk_create(_person(collection, number) for number in range(ROWS - 1))
    Photo.objects.bulk_create(
        Photo(person=person, sha256=str(number), width=1, height=1, status="accepted")
        for number in range(ROWS)
    )
    ImportJob.objects.bulk_create(
        ImportJob(collection=collection, source="zip", location="people.zip") for _ in range(ROWS - 1)
    )
    ImportItem.objects.bulk_create(ImportItem(job=job, number=number, path="1.jpg") for number in range(ROWS))
    models: list[type[Model]] = [Collection, Person, Photo, ImportJob]
    for model in models:
        for number, row in enumerate(model._default_manager.order_by("pk")):
            same_time = START + timedelta(seconds=number // 4)
            model._default_manager.filter(pk=row.pk).update(created_at=same_time)
    photos = f"{COLLECTION}persons/{person.pk}/photos/"
    items = f"{COLLECTION}imports/{job.pk}/items/"
    urls = {
        "collections": "/api/v1/collections/?",
        "photos": f"{photos}?",
        "accepted photos": f"{photos}?status=accepted&",
        "imports": f"{COLLECTION}imports/?",
        "items": f"{items}?",
        "pending items": f"{items}?state=pending&",
        **{f"people by {name}": f"{COLLECTION}persons/?ordering={name}&" for name in PERSON_ORDERINGS},
    }
    return lambda name: urls[name]


def _person(collection: Collection, number: int) -> Person:
    external_id = f"emp-{number % 5}{number}" if number % 3 else None
    return Person(
        collection=collection, name=f"Name {number % 4}" if number % 7 else "", external_id=external_id
    )


def _key(row: dict[str, Any]) -> Any:
    return row.get("id", row.get("number"))


def _pages(api: Program, url: str, direction: str = "next") -> Iterator[list[dict[str, Any]]]:
    """Yield the results of the page and those after it, and the URL of the last one's previous page."""
    link: str | None = url
    while link is not None:
        response = api.get(link)
        assert response.status_code == 200, response.json()
        yield response.json()["results"]
        link = response.json()[direction]


def _last(api: Program, url: str) -> str:
    """Return the URL of the last page."""
    while (next_url := api.get(url).json()["next"]) is not None:
        url = next_url
    return url


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("size", [1, 2, 7, ROWS - 1, ROWS, 200])
@pytest.mark.slow
def test_every_row_is_on_one_page_in_order(
    api: Program, url: Callable[[str], str], name: str, size: int
) -> None:
    start = f"{url(name)}page_size={size}"
    pages = list(_pages(api, start))
    assert [len(page) for page in pages] == [size] * (ROWS // size) + [ROWS % size] * (ROWS % size > 0)
    rows = [row for page in pages for row in page]
    assert len({_key(row) for row in rows}) == ROWS
    assert rows == _sorted(rows, LISTS[name])
    back = list(_pages(api, _last(api, start), "previous"))
    assert [row for page in reversed(back) for row in page] == rows
    assert api.get(start).json()["previous"] is None


def _sorted(rows: list[dict[str, Any]], ordering: str) -> list[dict[str, Any]]:
    column, descending = ordering.removeprefix("-"), ordering.startswith("-")
    valued = [row for row in rows if row[column] is not None]
    unvalued = [row for row in rows if row[column] is None]
    by_key = sorted(unvalued, key=lambda row: str(_key(row)), reverse=descending)
    return sorted(valued, key=lambda row: (row[column], str(_key(row))), reverse=descending) + by_key


@pytest.mark.parametrize("ordering", PERSON_ORDERINGS)
@pytest.mark.slow
def test_many_rows_with_the_same_value_are_listed_once(
    api: Program, collection: Collection, ordering: str
) -> None:
    Person.objects.bulk_create(Person(collection=collection, name="Ada") for _ in range(1_500))
    Person.objects.update(created_at=START)
    start = f"{COLLECTION}persons/?ordering={ordering}&page_size=200"
    rows = [row["id"] for page in _pages(api, start) for row in page]
    assert len(rows) == len(set(rows)) == 1_500
    back = [row["id"] for page in _pages(api, _last(api, start), "previous") for row in reversed(page)]
    assert back == rows[::-1]


@pytest.mark.parametrize("name", [name for name in LISTS if name.startswith("people")])
@pytest.mark.parametrize("direction", ["next", "previous"])
def test_remaining_rows_are_listed_once_while_others_are_added_and_deleted(
    api: Program, collection: Collection, url: Callable[[str], str], name: str, direction: str
) -> None:
    start = f"{url(name)}page_size=3"
    everyone = [row["id"] for page in _pages(api, start) for row in page]
    to_delete = set(everyone[::5])  # includes the edges of pages
    listed: list[str] = []
    for number, page in enumerate(
        _pages(api, start if direction == "next" else _last(api, start), direction)
    ):
        listed += [row["id"] for row in (page if direction == "next" else reversed(page))]
        deleted = everyone[number * 5]
        delete_rows(Photo.objects.filter(person=deleted))
        delete_rows(Person.objects.filter(pk=deleted))
        for name_of_new in ("", "Name 2", "~"):
            Person.objects.create(collection=collection, name=name_of_new)
        assert number < 100
        if number * 5 + 5 >= len(everyone):
            break
    remaining = [person for person in everyone if person not in to_delete]
    seen = [person for person in listed if person in remaining]
    expected = remaining if direction == "next" else remaining[::-1]
    assert seen == expected[: len(seen)]
    assert len(seen) > 5


def _cursor(position: Any) -> str:
    text = position if isinstance(position, str) else json.dumps(position)
    return quote(urlsafe_b64encode(urlencode({"p": text}).encode()).decode())


NO_ID = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "cursor",
    [
        "", "none", "%ff", "%ed%a0%80", "cD0x", "x" * 5_000,
        _cursor("x"), _cursor("[]"), _cursor("{}"), _cursor("null"), _cursor("[" * 9_999),
        _cursor(["name", "Ada"]), _cursor(["name", "Ada", None]), _cursor(["name", None, NO_ID]),
        _cursor(["name", "Ada", "not an id"]), _cursor(["name", "Ada", NO_ID, "more"]),
        _cursor(["name", "a\0b", NO_ID]), _cursor(["name", "\ud800", NO_ID]), _cursor(["name", 1, NO_ID]),
        _cursor(["name", ["Ada"], NO_ID]), _cursor(["name", {}, NO_ID]), _cursor(["name", "Ada", 5]),
        _cursor(["-name", "Ada", NO_ID]), _cursor(["created_at", "2026-01-01T00:00:00Z", NO_ID]),
        _cursor(["metadata", "{}", NO_ID]), _cursor(["collection__name", "default", NO_ID]),
        _cursor(["", "Ada", NO_ID]), _cursor([["name"], "Ada", NO_ID]),
    ],
)  # fmt: skip
def test_an_invalid_cursor_is_refused(api: Program, collection: Collection, cursor: str) -> None:
    response = api.get(f"{COLLECTION}persons/?ordering=name&cursor={cursor}")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["cursor"]


@pytest.mark.parametrize("first_ordering", PERSON_ORDERINGS)
@pytest.mark.parametrize("second_ordering", PERSON_ORDERINGS)
def test_a_cursor_is_valid_only_for_its_ordering(
    api: Program, url: Callable[[str], str], first_ordering: str, second_ordering: str
) -> None:
    link = api.get(f"{url(f'people by {first_ordering}')}page_size=2").json()["next"]
    response = api.get(link.replace(f"ordering={first_ordering}", f"ordering={second_ordering}"))
    assert response.status_code == (200 if first_ordering == second_ordering else 400)


@pytest.mark.parametrize("size", ["0", "-1", "201", "x", "1.5", "", "%D9%A1"])
def test_a_page_has_1_to_200_rows(api: Program, collection: Collection, size: str) -> None:
    response = api.get(f"{COLLECTION}persons/?page_size={size}")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["page_size"])


@pytest.mark.parametrize("rows", [1, 30])
def test_the_number_of_queries_is_the_same_for_every_length_of_a_page(
    api: Program, collection: Collection, rows: int, django_assert_num_queries: Queries
) -> None:
    Person.objects.bulk_create(Person(collection=collection) for _ in range(rows))
    ImportJob.objects.bulk_create(
        ImportJob(collection=collection, source="zip", location="x", state=state)
        for state in ("pending", "complete")
        for _ in range(rows)
    )
    with django_assert_num_queries(3):  # key, collection, people with the number of their photos
        assert len(api.get(f"{COLLECTION}persons/").json()["results"]) == rows
    with django_assert_num_queries(4):  # key, collection, imports, the files of those that aren't finished
        assert len(api.get(f"{COLLECTION}imports/").json()["results"]) == min(2 * rows, 50)


def test_each_page_is_read_from_an_index(api: Program, url: Callable[[str], str]) -> None:
    links = {}
    for name in LISTS:
        start = f"{url(name)}page_size=2"
        links[name] = [start, api.get(start).json()["next"], _last(api, f"{url(name)}page_size=7")]
    if connection.vendor == "postgresql":
        _enlarge()
    for name in LISTS:
        for link in links[name]:
            with CaptureQueriesContext(connection) as queries:
                assert api.get(link).status_code == 200
            statements = [query["sql"] for query in queries.captured_queries]
            pages = [text for text in statements if " ORDER BY " in text and " LIMIT " in text]
            assert pages, name
            for statement in pages:
                _check_plan(name, statement)


_EARLIER = "'created_at', first.created_at - n * interval '1 minute'"
_MANY = {
    "people_collection": f"'id', gen_random_uuid(), 'name', 'n' || n, {_EARLIER}",
    "people_person": "'id', gen_random_uuid(), 'external_id', CASE WHEN n %% 2 = 0 THEN n::text END, "
    f"'name', 'Name ' || n, {_EARLIER}",
    "people_photo": "'id', gen_random_uuid(), 'sha256', 'n' || n, "  # noqa: S608
    f"'person_id', (ARRAY(SELECT id FROM people_person LIMIT 3000))[n], {_EARLIER}",
    "people_importjob": f"'id', gen_random_uuid(), {_EARLIER}",
    "people_importitem": "'id', 1000000 + n, 'number', 1000 + n",
}
"""How each added row of a table differs from the first one."""


def _enlarge() -> None:
    """Add so many rows that reading whole tables would be slow, and update the planner's statistics."""
    with connection.cursor() as cursor:
        for table, changes in _MANY.items():
            cursor.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(first, jsonb_build_object({changes}))).* "  # noqa: S608
                f"FROM {table} AS first, generate_series(1, %s) AS n "
                f"WHERE first.id = (SELECT id FROM {table} ORDER BY id LIMIT 1)",
                [60_000 if table == "people_person" else 3_000],
            )
            cursor.execute(f"ANALYZE {table}")


def _check_plan(name: str, statement: str) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
        assert "TEMP B-TREE" not in plan, f"{name}: {plan}"
        assert "SCAN people_" not in plan.replace("SCAN people_collection USING INDEX", ""), f"{name}: {plan}"
        return
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        ((plan_json,),) = cursor.fetchall()
    (root,) = json.loads(plan_json) if isinstance(plan_json, str) else plan_json
    for node in _nodes(root["Plan"]):
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert rows <= 500, f"{name}: {json.dumps(root, indent=1)}"


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan, except for the count of a collection's people, which reads all of them."""
    if node.get("Alias") == "u0" and node["Relation Name"] == "people_person":
        return
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
