"""No input causes a 500: the tests send values that JSON, SQLite, PostgreSQL or Python can't handle."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from people.models import Collection, Merge, Person
from tests.api.program import Program, Response
from tests.api.routes import ROUTES, SOME_ID

pytestmark = pytest.mark.slow
WRITING = ("POST", "PATCH", "DELETE")
NESTED = {"array": ("[", "]"), "object": ('{"a":', "}")}
BODIES = {
    **{
        f"{kind} nested {depth:,} deep": opening * depth + "1" + closing * depth
        for kind, (opening, closing) in NESTED.items()
        for depth in (100, 3_000, 100_000)
    },
    "opening brackets only": "[" * 100_000,
    "nul": r'"a\u0000b"',
    "lone high surrogate": r'"\ud800"',
    "lone low surrogate": r'"a\udc00"',
    "surrogates in the wrong order": r'"\udc00\ud800"',
    "not a number": "NaN",
    "infinity": "Infinity",
    "negative infinity": "-Infinity",
    "float beyond a double": "1e400",
    "integer beyond a double": "9" * 400,
    "integer of 5,000 digits": "9" * 5_000,
}
"""JSON that no route accepts, at any position in the body."""
MEMBERS = (
    "name",
    "external_id",
    "metadata",
    "description",
    "fpir",
    "photo",
    "source",
    "s3",
    "other",
    "consent",
)
TEXTS = {
    "nul": "%00",
    "nul in a word": "a%00b",
    "invalid UTF-8": "%ff%fe",
    "surrogate in UTF-8": "%ed%a0%80",
    "not a number": "nan",
    "infinity": "inf",
    "number beyond a double": "1e400",
    "integer of 5,000 digits": "9" * 3_500,
    "negative": "-1",
    "earliest time": "0001-01-01T00:00:00%2B14:00",
    "latest time": "9999-12-31T23:59:59-14:00",
    "empty": "",
    "formula": "=1%2B1",
    "quotes": "'%22;--",
    "Arabic digits": "%D9%A1",
}


def _paths(person: Person) -> list[tuple[str, str]]:
    """Return the operations for ids that don't exist, and for a person who does."""
    existing = str(person.pk)
    return ROUTES + [
        (method, path.replace(SOME_ID, existing, 1))
        for method, path in ROUTES
        if f"persons/{SOME_ID}" in path
    ]


def _is_problem(response: Response, *statuses: int) -> None:
    assert response.status_code in (statuses or range(400, 500)), response.content[:300]
    assert response["Content-Type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert problem["status"] == response.status_code
    assert {"type", "title", "detail", "code", "request_id"} <= set(problem)
    assert problem["request_id"] == response["X-Request-ID"]


@pytest.fixture
def person(collection: Collection) -> Person:
    return Person.objects.create(collection=collection, name="Ada")


@pytest.fixture(autouse=True)
def _unlimited(settings: Any) -> None:
    settings.FACEREC_S3_INPUT_BUCKETS = []


@pytest.fixture
def api(program: Any) -> Program:
    client: Program = program(rate="1000000/min")
    return client


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_no_operation_accepts_hostile_json(api: Program, person: Person, text: str) -> None:
    for method, path in _paths(person):
        if method not in WRITING or path.endswith("collections/default/"):
            continue
        for body in (text, f'{{"name": {text}}}', f'{{"{SOME_ID}": [{text}]}}'):
            response = api.generic(method, path, body, content_type="application/json")
            if method == "DELETE":  # has no body, so none is read
                assert response.status_code < 500, (method, path)
                continue
            _is_problem(response)
    assert Collection.objects.count() == 1
    assert not Merge.objects.exists()


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
@pytest.mark.slow
def test_hostile_json_is_refused_in_every_member(api: Program, person: Person, text: str) -> None:
    person_path = f"/api/v1/collections/default/persons/{person.pk}/"
    for method, path in [
        ("POST", "/api/v1/collections/"),
        ("PATCH", "/api/v1/collections/default/"),
        ("POST", "/api/v1/collections/default/persons/"),
        ("PATCH", person_path),
        ("POST", f"{person_path}photos/"),
        ("POST", f"{person_path}merge/"),
        ("POST", "/api/v1/collections/default/imports/"),
        ("POST", "/api/v1/compare/"),
        ("POST", "/api/v1/detect/"),
    ]:
        for member in MEMBERS:
            body = f'{{"{member}": {{"a": [{text}]}}}}'
            response = api.generic(method, path, body, content_type="application/json")
            _is_problem(response, 400)
            assert response.json()["code"] == "malformed"
    assert list(Person.objects.values_list("name", "metadata")) == [("Ada", {})]
    assert list(Collection.objects.values_list("name", "description")) == [("default", "")]


def test_operations_without_files_refuse_forms(api: Program) -> None:
    path = "/api/v1/collections/default/persons/"
    _is_problem(api.post(path, {"metadata": '{"a": 1}'}, format="multipart"), 415)
    assert not Person.objects.exists()


def test_json_with_a_repeated_name_is_refused(api: Program) -> None:
    path = "/api/v1/collections/default/persons/"
    response = api.generic("POST", path, '{"name": "Ada", "name": "Bob"}', content_type="application/json")
    _is_problem(response, 400)
    assert response.json()["code"] == "malformed"


@pytest.mark.parametrize("body", ["", "{", "nul", '{"name": "Ada"', b"\xff\xfe", "\ufeff{}", "[1] 2"])
def test_a_body_that_is_not_json_is_refused(api: Program, body: Any) -> None:
    path = "/api/v1/collections/default/persons/"
    response = api.generic("POST", path, body, content_type="application/json; charset=utf-8")
    if body:  # an empty body counts as an empty object
        _is_problem(response, 400)
        assert response.json()["code"] == "malformed"


@pytest.mark.parametrize("body", ["null", "1", "true", '"text"', "[]", '[{"name": "Ada"}]'])
def test_json_that_is_not_an_object_is_refused(api: Program, person: Person, body: str) -> None:
    for method, path in _paths(person):
        if method in ("POST", "PATCH"):
            _is_problem(api.generic(method, path, body, content_type="application/json"))
    assert Collection.objects.count() == Person.objects.count() == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.slow
def test_no_parameter_of_any_operation_causes_a_fault(
    api: Program, person: Person, document: dict[str, Any], text: str
) -> None:
    tried: set[str] = set()
    for template, operations in document["paths"].items():
        path = template.replace("{collection}", "default").replace("{person}", str(person.pk))
        path = re.sub(r"\{\w+\}", SOME_ID, path)
        for method in operations.keys() & {"get", "post", "patch"}:
            parameters = operations[method].get("parameters", [])
            names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
            tried.update(names)
            for name in (*names, "no_such_parameter"):
                query = f"{path}?{name}={text}"
                response = api.generic(method.upper(), query, "{}", content_type="application/json")
                if response.status_code >= 400:
                    _is_problem(response)
    assert {"cursor", "search", "ordering", "created_after", "fmr", "face", "dry_run", "state"} <= tried


@pytest.mark.parametrize("text", ["%00", "a%00b", "%ff%fe", "%ed%a0%80", "%2e%2e", "%2f", "%0a", "'%22;--"])
def test_no_path_causes_a_fault(api: Program, person: Person, text: str) -> None:
    for method, path in ROUTES:
        for hostile in (
            path.replace("default", text), path.replace(SOME_ID, text), f"{path}{text}/", f"{path}{text}"
        ):  # fmt: skip
            if hostile != path:
                response = api.generic(method, hostile, "{}", content_type="application/json")
                _is_problem(response, *([404] if "%00" in text else ()))


@pytest.mark.parametrize("ordering", ["created_at", "-name", "external_id", ""])
@pytest.mark.parametrize(
    "position",
    ["p=%00", "p=a%00", "p=nan", "p=9999-12-31T23:59:59-14:00", "p=" + "9" * 5_000, "o=" + "9" * 5_000,
     "o=-1",
     "r=1&p=%ed%a0%80", "p=%ff", "r=x", "p="],
)  # fmt: skip
def test_no_cursor_causes_a_fault(api: Program, person: Person, position: str, ordering: str) -> None:
    Person.objects.create(collection=person.collection, external_id="a")
    cursor = base64.b64encode(position.encode()).decode()
    for path in ("collections/", "collections/default/persons/", "collections/default/imports/",
                 f"collections/default/persons/{person.pk}/photos/"):  # fmt: skip
        query = f"?cursor={quote(cursor)}"
        if ordering and path.endswith("default/persons/"):
            query += f"&ordering={ordering}"
        response = api.get(f"/api/v1/{path}{query}")
        if response.status_code != 200:
            _is_problem(response, 400)


@pytest.mark.parametrize("position", ["p=a", "p=%00", "p=1.5", "p=" + "9" * 30, "p=NaN"])
def test_no_cursor_of_an_import_causes_a_fault(api: Program, collection: Collection, position: str) -> None:
    job = collection.imports.create(source="s3", location="s3://a/", submitted_by="user:1")
    cursor = base64.b64encode(position.encode()).decode()
    response = api.get(f"/api/v1/collections/default/imports/{job.pk}/items/?cursor={quote(cursor)}")
    if response.status_code != 200:
        _is_problem(response, 400)


@pytest.mark.parametrize("name", ["name", "external_id", "metadata", "status", "a\0b", "photo", "archive"])
@pytest.mark.parametrize("value", ["a\0b", "\0", "\ufffe", "9" * 5_000])
def test_no_field_of_a_form_causes_a_fault(api: Program, person: Person, name: str, value: str) -> None:
    for method, path in _paths(person):
        if method in ("POST", "PATCH"):
            response = api.generic(method, path, *_form(name, value))
            assert response.status_code < 500, (method, path)
            if "\0" in name + value and response.status_code != 404:
                _is_problem(response)


@pytest.mark.parametrize("file_name", ["a\\0.jpg", "%00.jpg", "../../etc/passwd", "a\ufffe.jpg", "x" * 5_000])
def test_no_name_of_a_file_causes_a_fault(api: Program, person: Person, file_name: str) -> None:
    for path in (f"/api/v1/collections/default/persons/{person.pk}/photos/", "/api/v1/detect/",
                 "/api/v1/collections/default/imports/"):  # fmt: skip
        for field in ("photo", "archive"):
            _is_problem(api.generic("POST", path, *_form(field, "not a photo", file_name=file_name)))


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-7", "application/json; charset=unicode_escape",
     "application/json; charset=bz2",
     "application/json; charset=no-such", "multipart/form-data; boundary=x; charset=utf-7",
     "multipart/form-data; boundary=x; charset=raw_unicode_escape", "multipart/form-data", "text/plain",
     "multipart/form-data; boundary=\xe9", "multipart/form-data; boundary*=utf-8''%00",
     "application/x-www-form-urlencoded", "x", "/", ";", "application/json; " + "x=y; " * 500],
)  # fmt: skip
def test_no_content_type_causes_a_fault(api: Program, collection: Collection, kind: str) -> None:
    body = '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n+2AA-\r\n--x--\r\n'
    for path in ("/api/v1/collections/", "/api/v1/collections/default/persons/", "/api/v1/detect/",
                 "/api/v1/collections/default/imports/"):  # fmt: skip
        _is_problem(api.generic("POST", path, body, content_type=kind), 400, 415)
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Accept", "text/html; q*=no-such''x"), ("Accept", "text/html"), ("Accept", ";;;,,,"),
        ("Accept", "x" * 8_000),
        ("Cookie", 'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"'), ("Cookie", "sessionid=\xff\xfe"),
        ("Authorization", "Bearer frk_\xff_\xfe"), ("Authorization", "Bearer"),
        ("Authorization", "Basic AAAA"),
        ("Prefer", "wait=99999999999"), ("Idempotency-Key", "\xff"), ("X-Request-ID", "\xff"),
        ("If-Modified-Since", "\xff"), ("Range", "bytes=9-1"), ("X-Forwarded-Host", "\xff"),
    ],
)  # fmt: skip
def test_no_header_causes_a_fault(api: Program, collection: Collection, header: str, value: str) -> None:
    for method, path in (("GET", "collections/default/persons/"), ("POST", "collections/default/persons/")):
        response = api.generic(
            method,
            f"/api/v1/{path}",
            '{"name": "Ada"}',
            content_type="application/json",
            headers={header: value},
        )
        if response.status_code >= 400:
            _is_problem(response)


ADMIN_PATHS = (
    "", "people/person/", "people/person/add/", "people/person/{}/change/", "people/person/{}/delete/",
    "people/collection/{}/change/", "people/importjob/{}/change/", "people/auditevent/{}/change/",
    "people/erasure/",
    "people/apikey/{}/change/", "people/outboxentry/", "auth/user/{}/change/", "identify/",
    "photos/{}/image/",
    "people/importjob/?state={}", "people/person/?q={}", "people/person/?status={}", "people/person/?name={}",
    "people/person/?collection__id__exact={}", "people/person/?p={}", "people/person/?o={}",
    "people/person/?e={}",
    "people/auditevent/?at__gte={}", "people/auditevent/?q={}", "people/person/?_changelist_filters={}",
    "login/?next={}", "r/1/{}/", "jsi18n/?{}", "autocomplete/?term={}",
)  # fmt: skip


@pytest.mark.parametrize(
    "text", ["%00", "_00", "a%00b", "%ff%fe", "%ed%a0%80", "9" * 3_500, "nan", "-1", "'%22;--"]
)
def test_no_url_of_the_admin_causes_a_fault(admin_client: Client, collection: Collection, text: str) -> None:
    admin_client.raise_request_exception = False
    for path in ADMIN_PATHS:
        response = admin_client.get(f"/admin/{path.replace('{}', text)}")
        assert response.status_code < 500, path


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_the_admin_refuses_hostile_metadata(admin_client: Client, collection: Collection, text: str) -> None:
    admin_client.raise_request_exception = False
    for metadata in (text, f'{{"a": {text}}}'):
        fields = {"collection": collection.pk, "name": "Ada", "status": "active", "metadata": metadata}
        response = admin_client.post("/admin/people/person/add/", fields)
        assert response.status_code == 200
        assert b"errorlist" in response.content
    assert not Person.objects.exists()


@pytest.mark.parametrize("value", ["a\0b", "\0", "9" * 5_000])
def test_no_form_of_the_admin_causes_a_fault(admin_client: Client, person: Person, value: str) -> None:
    admin_client.raise_request_exception = False
    fields = (
        "collection", "name", "external_id", "status", "metadata", "consent_given_at_0", "action",
        "_selected_action",
        "username", "password", "label", "scopes", "rate", "expires_at", "description", "fpir", "folder",
        "dry_run",
    )  # fmt: skip
    for path in (
        "login/", "people/person/", "people/person/add/", f"people/person/{person.pk}/change/",
        "people/apikey/add/",
        "people/collection/add/", "people/importjob/add/", "identify/", "auth/user/add/",
    ):  # fmt: skip
        form = dict.fromkeys(fields, value)
        for data in (
            form,
            {**form, "action": "merge"},
            {**form, "action": "delete_selected"},
        ):
            assert admin_client.post(f"/admin/{path}", data).status_code < 500, path


def _form(name: str, value: str, *, file_name: str = "") -> tuple[str, str]:
    """Return a multipart body of one field as it would be sent, and its content type."""
    file_part = f'; filename="{file_name}"' if file_name else ""
    part = f'--x\r\nContent-Disposition: form-data; name="{name}"{file_part}\r\n\r\n{value}\r\n--x--\r\n'
    return part, "multipart/form-data; boundary=x"
