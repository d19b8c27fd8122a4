"""Whatever fails under /api/, and wherever: the response is the problem document that OpenAPI describes."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation, ValidationError
from django.db import DataError, IntegrityError, connection
from django.http import UnreadablePostError
from django.test import Client, RequestFactory

from facerec_site import errors
from people.errors import FacerecError, PersonMerged, every_code
from people.models import Collection, Person
from tests import fakes
from tests.api.program import Answer, Program
from tests.api.routes import ROUTES

PERSONS = "/api/v1/collections/default/persons/"
Fits = Callable[[str, Any], None]


@pytest.fixture
def problem(fits: Fits) -> Callable[..., dict[str, Any]]:
    """Check that an answer is a problem of this status and code, and return it."""

    def check(answer: Answer, status: int, code: str) -> dict[str, Any]:
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        content: dict[str, Any] = json.loads(answer.content)
        fits("Problem", content)
        assert (content["status"], content["code"]) == (status, code)
        assert content["request_id"] == answer["X-Request-ID"]
        assert code in every_code()
        return content

    return check


Problem = Callable[[Answer, int, str], dict[str, Any]]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/api/schema/"), ("GET", "/api/docs/")])
def test_a_missing_slash_is_named_and_not_redirected(
    api: Program, collection: Collection, problem: Problem, method: str, path: str
) -> None:
    for sent in (method, "HEAD", "OPTIONS", "PUT"):
        answer = api.generic(sent, f"{path.rstrip('/')}?a=1", "{}", content_type="application/json")
        assert "Location" not in answer
        if sent != "HEAD":
            assert f": {path}" in problem(answer, 404, "not_found")["detail"]
        else:
            assert (answer.status_code, answer.content) == (404, b"")


def test_the_admin_still_redirects_to_paths_with_a_slash(admin_client: Client) -> None:
    answer = admin_client.get("/admin/people/person")
    assert (answer.status_code, answer["Location"]) == (301, "/admin/people/person/")


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1/", "/api/v2/engine/", "/api/v1/none/", "/api/v1//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "FOO"])
def test_an_unknown_path_is_a_problem(client: Client, problem: Problem, method: str, path: str) -> None:
    problem(client.generic(method, path), 404, "not_found")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_unsupported_method_is_a_problem(
    api: Program, collection: Collection, problem: Problem, method: str, path: str
) -> None:
    for unsupported in ("PUT", "TRACE", "CONNECT", "FOO"):
        answer = api.generic(unsupported, path)
        problem(answer, 405, "method_not_allowed")
        assert method in answer["Allow"].split(", ")


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "GET"])
def test_head_is_get_without_a_body(api: Program, collection: Collection, method: str, path: str) -> None:
    get, head = api.get(path), api.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    differ = {"X-Request-ID", "RateLimit-Remaining", "RateLimit-Reset"}
    assert {name: head[name] for name in head.headers if name not in differ} == {
        name: get[name] for name in get.headers if name not in differ
    }


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "GET"])
def test_head_needs_the_scope_of_get(
    program: Callable[..., Program], collection: Collection, method: str, path: str
) -> None:
    client = program("detect")
    assert client.head(path).status_code == client.get(path).status_code
    assert Program(raise_request_exception=False).head(path).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_options_lists_the_methods_and_nothing_else(
    api: Program, collection: Collection, method: str, path: str
) -> None:
    answer = api.options(path)
    assert answer.status_code == 200
    assert set(answer.json()) == {"methods"}
    assert method in answer.json()["methods"]
    assert answer["Allow"] == ", ".join(answer.json()["methods"])


@pytest.mark.parametrize("host", ["elsewhere.example", "testserver.example", "a_b", "[::1", "%00", "a b", ""])
@pytest.mark.parametrize("path", [PERSONS, "/api/docs/", "/api/v1/none/", "/api/v1/engine"])
def test_another_host_is_a_problem(client: Client, problem: Problem, path: str, host: str) -> None:
    for method in ("GET", "POST"):
        problem(client.generic(method, path, headers={"Host": host}), 400, "unknown_host")
    assert client.get("/admin/", headers={"Host": host})["Content-Type"].startswith("text/html")


def _multipart(*parts: str, end: str = "--x--\r\n") -> dict[str, Any]:
    body = "".join(f"--x\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + end
    return {"data": body.encode(), "content_type": "multipart/form-data; boundary=x"}


def test_too_many_fields_or_files_are_a_problem(
    api: Program, admin_client: Client, collection: Collection, problem: Problem
) -> None:
    fields = _multipart(*(f'name="{number}"\r\n\r\nvalue' for number in range(1_100)))
    files = _multipart(*(f'name="photo"; filename="{number}.jpg"\r\n\r\nphoto' for number in range(60)))
    for path in ("/api/v1/detect/", "/api/v1/collections/default/imports/"):
        for sent in (fields, files):
            assert "1,000" in problem(api.generic("POST", path, **sent), 400, "malformed")["detail"]
    query = "&".join(f"a{number}=1" for number in range(1_100))
    problem(api.get(f"{PERSONS}?{query}"), 400, "malformed")
    assert admin_client.get(f"/admin/people/person/?{query}").status_code == 400


@pytest.mark.parametrize(
    "sent",
    [
        _multipart('name="photo"; filename="1.jpg"\r\n\r\nphoto', end=""),
        {"data": b"", "content_type": "multipart/form-data"},
        {"data": b"not multipart at all", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"--x\r\n", "content_type": "multipart/form-data; boundary="},
        {"data": b"--x\r\n", "content_type": "multipart/form-data; boundary=" + "x" * 500},
        {"data": b"--x\r\n" + b"A: b\r\n" * 1_000, "content_type": "multipart/form-data; boundary=x"},
        _multipart('name="photo"; filename="1.jpg"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/v1/detect/", "/api/v1/collections/default/imports/", PERSONS])
def test_a_form_that_can_t_be_read_is_a_problem(
    api: Program, collection: Collection, fits: Fits, path: str, sent: dict[str, Any]
) -> None:
    answer = api.generic("POST", path, **sent)
    assert (answer.status_code // 100, answer["Content-Type"]) in {
        (4, "application/problem+json"), (2, "application/json"),
    }  # fmt: skip
    if answer.status_code == 201:  # an empty form is that of a nameless person
        assert path == PERSONS
    else:
        fits("Problem", answer.json())


def test_a_body_that_is_too_large_is_a_problem(
    api: Program, collection: Collection, problem: Problem
) -> None:
    large = json.dumps({"name": "A" * 15_000_000})
    for method, path in (
        ("POST", PERSONS),
        ("POST", "/api/v1/detect/"),
        ("PATCH", "/api/v1/collections/default/"),
    ):
        problem(api.generic(method, path, large, content_type="application/json"), 413, "too_large")
    field = _multipart('name="name"\r\n\r\n' + "A" * 15_000_000)
    problem(api.generic("POST", "/api/v1/detect/", **field), 413, "too_large")
    problem(api.send_photo("/api/v1/detect/", bytes(10_500_000)), 413, "photo_too_large")


def test_unsupported_media_types_are_a_problem(
    api: Program, collection: Collection, problem: Problem
) -> None:
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "image/jpeg"):
        problem(api.generic("POST", PERSONS, "name=Ada", content_type=kind), 415, "unsupported_media_type")
    for accepted in ("text/html", "application/xml", "image/*"):
        problem(api.get(PERSONS, headers={"Accept": accepted}), 406, "not_acceptable")


def test_a_request_without_permission_gets_a_problem(
    program: Callable[..., Program], staff: User, collection: Collection, problem: Problem
) -> None:
    problem(Client().get(PERSONS), 401, "not_authenticated")
    problem(Client().get(PERSONS, headers={"Authorization": "Bearer frk_a_b"}), 401, "not_authenticated")
    assert "enrol" in problem(program("detect").get(PERSONS), 403, "not_allowed")["detail"]
    session = Client(enforce_csrf_checks=True)
    session.force_login(staff)
    problem(session.post(PERSONS, {"name": "x"}, "application/json"), 403, "not_allowed")
    limited = program(rate="1/day")
    limited.get(PERSONS)
    answer = limited.get(PERSONS)
    problem(answer, 429, "too_many_requests")
    assert 0 < int(answer["Retry-After"]) <= 86_400


def test_a_body_without_a_length_is_refused_by_a_server_that_can_t_read_it(
    api: Program, collection: Collection, problem: Problem
) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    for method in ("POST", "PATCH", "DELETE"):
        problem(api.generic(method, PERSONS, headers=headers), 411, "length_required")


@pytest.mark.parametrize("failure", [BytesIO, None])
def test_a_body_that_ends_early_is_a_problem(
    api: Program, collection: Collection, problem: Problem, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    def breaks_off(*args: Any) -> bytes:
        raise UnreadablePostError("injected: the connection is gone")

    monkeypatch.setattr("django.http.request.HttpRequest.read", breaks_off)
    kind = "application/json" if failure is None else "multipart/form-data; boundary=x"
    problem(api.generic("POST", "/api/v1/detect/", "{}", content_type=kind), 400, "malformed")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (DataError("value too long for Ada"), 400, "malformed"),
        (IntegrityError("Ada exists already"), 409, "conflict"),
        (ValidationError({"name": ["Too long."]}), 400, "invalid"),
        (ValidationError("Taken.", code="unique"), 409, "conflict"),
        (SuspiciousOperation("Ada"), 400, "malformed"),
        (BadRequest("Ada"), 400, "malformed"),
        (PermissionDenied("Ada"), 403, "not_allowed"),
        (PersonMerged(extra={"kept": "1"}), 409, "person_merged"),
        (RecursionError("Ada"), 500, "internal_error"),
        (FacerecError(), 500, "internal_error"),
    ],
)  # fmt: skip
def test_what_a_view_or_a_middleware_raises_is_the_same_problem(
    api: Program, collection: Collection, problem: Problem, raised: Exception, status: int, code: str
) -> None:
    def fails(*args: Any) -> None:
        raise raised

    with connection.execute_wrapper(fails):  # in the view, or in the authentication before it
        assert "Ada" not in str(problem(api.get(PERSONS), status, code))
    request = RequestFactory().get(PERSONS)
    handlers: dict[int, Callable[..., Any]] = {400: errors.bad_request, 403: errors.permission_denied}
    try:
        raise raised
    except Exception as error:
        django_s = isinstance(error, SuspiciousOperation | BadRequest | PermissionDenied)
        answer = handlers[status](request, error) if django_s else errors.server_error(request)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)
    assert "Ada" not in answer.content.decode()


def test_the_pages_of_people_are_no_problem_documents(admin_client: Client, db: None) -> None:
    admin_client.raise_request_exception = False
    for path, status in (
        ("/none/", 404),
        ("/admin/none/", 404),
        ("/admin/people/person/?q=%00", 400),
        ("/%00", 404),
    ):
        answer = admin_client.get(path)
        assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (status, "text/html"), path
    answer = admin_client.get("/admin/", headers={"Content-Type": "text/plain; charset=utf-7"})
    assert answer.status_code == 415


def test_nothing_is_stored_by_requests_that_are_refused(api: Program, collection: Collection) -> None:
    for headers in ({"Transfer-Encoding": "chunked"}, {"Accept": "text/html"}, {"Host": "elsewhere"}):
        assert api.post(PERSONS, {"name": "Ada"}, headers=headers).status_code >= 400
    assert api.send_photo(PERSONS, fakes.photo(1)).status_code == 415
    assert not Person.objects.exists()
