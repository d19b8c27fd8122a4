"""Every failure under /api/ is returned as the problem document that the OpenAPI document describes."""

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
from tests.api.program import Program, Response
from tests.api.routes import ROUTES

PERSONS = "/api/v1/collections/default/persons/"
Fits = Callable[[str, Any], None]


@pytest.fixture
def problem(fits: Fits) -> Callable[..., dict[str, Any]]:
    """Check that a response is a problem of this status and code, and return it."""

    def check(response: Response, status: int, code: str) -> dict[str, Any]:
        assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
        content: dict[str, Any] = json.loads(response.content)
        fits("Problem", content)
        assert (content["status"], content["code"]) == (status, code)
        assert content["request_id"] == response["X-Request-ID"]
        assert code in every_code()
        return content

    return check


Problem = Callable[[Response, int, str], dict[str, Any]]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/api/schema/"), ("GET", "/api/docs/")])
def test_a_missing_slash_is_a_problem_and_no_redirect(
    api: Program, collection: Collection, problem: Problem, method: str, path: str
) -> None:
    for sent_method in (method, "HEAD", "OPTIONS", "PUT"):
        response = api.generic(sent_method, f"{path.rstrip('/')}?a=1", "{}", content_type="application/json")
        assert "Location" not in response
        if sent_method != "HEAD":
            assert f": {path}" in problem(response, 404, "not_found")["detail"]
        else:
            assert (response.status_code, response.content) == (404, b"")


def test_the_admin_still_redirects_to_paths_with_a_slash(admin_client: Client) -> None:
    response = admin_client.get("/admin/people/person")
    assert (response.status_code, response["Location"]) == (301, "/admin/people/person/")


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
        response = api.generic(unsupported, path)
        problem(response, 405, "method_not_allowed")
        assert method in response["Allow"].split(", ")


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "GET"])
def test_head_is_get_without_a_body(api: Program, collection: Collection, method: str, path: str) -> None:
    get, head = api.get(path), api.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    varying = {"X-Request-ID", "RateLimit-Remaining", "RateLimit-Reset"}
    assert {name: head[name] for name in head.headers if name not in varying} == {
        name: get[name] for name in get.headers if name not in varying
    }


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "GET"])
def test_head_needs_the_scope_of_get(
    program: Callable[..., Program], collection: Collection, method: str, path: str
) -> None:
    client = program("detect")
    assert client.head(path).status_code == client.get(path).status_code
    assert Program(raise_request_exception=False).head(path).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_options_lists_only_the_methods(api: Program, collection: Collection, method: str, path: str) -> None:
    response = api.options(path)
    assert response.status_code == 200
    assert set(response.json()) == {"methods"}
    assert method in response.json()["methods"]
    assert response["Allow"] == ", ".join(response.json()["methods"])


@pytest.mark.parametrize("host", ["elsewhere.example", "testserver.example", "a_b", "[::1", "%00", "a b", ""])
@pytest.mark.parametrize("path", [PERSONS, "/api/docs/", "/api/v1/none/", "/api/v1/engine"])
def test_an_unknown_host_is_a_problem(client: Client, problem: Problem, path: str, host: str) -> None:
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
        for form in (fields, files):
            assert "1,000" in problem(api.generic("POST", path, **form), 400, "malformed")["detail"]
    query = "&".join(f"a{number}=1" for number in range(1_100))
    problem(api.get(f"{PERSONS}?{query}"), 400, "malformed")
    assert admin_client.get(f"/admin/people/person/?{query}").status_code == 400


@pytest.mark.parametrize(
    "form",
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
def test_an_unreadable_form_is_a_problem(
    api: Program, collection: Collection, fits: Fits, path: str, form: dict[str, Any]
) -> None:
    response = api.generic("POST", path, **form)
    assert (response.status_code // 100, response["Content-Type"]) in {
        (4, "application/problem+json"), (2, "application/json"),
    }  # fmt: skip
    if response.status_code == 201:  # an empty form creates a person without a name
        assert path == PERSONS
    else:
        fits("Problem", response.json())


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
    response = limited.get(PERSONS)
    problem(response, 429, "too_many_requests")
    assert 0 < int(response["Retry-After"]) <= 86_400


def test_a_body_without_a_length_is_refused_if_the_server_cannot_read_it(
    api: Program, collection: Collection, problem: Problem
) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    for method in ("POST", "PATCH", "DELETE"):
        problem(api.generic(method, PERSONS, headers=headers), 411, "length_required")


@pytest.mark.parametrize("failure", [BytesIO, None])
def test_a_body_that_ends_early_is_a_problem(
    api: Program, collection: Collection, problem: Problem, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    def fail(*args: Any) -> bytes:
        raise UnreadablePostError("injected: the connection is gone")

    monkeypatch.setattr("django.http.request.HttpRequest.read", fail)
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
def test_errors_in_views_and_middleware_are_the_same_problem(
    api: Program, collection: Collection, problem: Problem, raised: Exception, status: int, code: str
) -> None:
    def fail(*args: Any) -> None:
        raise raised

    with connection.execute_wrapper(fail):  # in the view, or in the authentication before it
        assert "Ada" not in str(problem(api.get(PERSONS), status, code))
    request = RequestFactory().get(PERSONS)
    handlers: dict[int, Callable[..., Any]] = {400: errors.bad_request, 403: errors.permission_denied}
    try:
        raise raised
    except Exception as error:
        has_handler = isinstance(error, SuspiciousOperation | BadRequest | PermissionDenied)
        response = handlers[status](request, error) if has_handler else errors.server_error(request)
    assert (response.status_code, json.loads(response.content)["code"]) == (status, code)
    assert "Ada" not in response.content.decode()


def test_pages_for_people_are_not_problem_documents(admin_client: Client, db: None) -> None:
    admin_client.raise_request_exception = False
    for path, status in (
        ("/none/", 404),
        ("/admin/none/", 404),
        ("/admin/people/person/?q=%00", 400),
        ("/%00", 404),
    ):
        response = admin_client.get(path)
        assert (response.status_code, response["Content-Type"].partition(";")[0]) == (status, "text/html"), (
            path
        )
    response = admin_client.get("/admin/", headers={"Content-Type": "text/plain; charset=utf-7"})
    assert response.status_code == 415


def test_refused_requests_store_nothing(api: Program, collection: Collection) -> None:
    for headers in ({"Transfer-Encoding": "chunked"}, {"Accept": "text/html"}, {"Host": "unknown"}):
        assert api.post(PERSONS, {"name": "Ada"}, headers=headers).status_code >= 400
    assert api.send_photo(PERSONS, fakes.photo(1)).status_code == 415
    assert not Person.objects.exists()
