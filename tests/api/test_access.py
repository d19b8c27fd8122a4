from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from people import api_keys, erasure
from people.actors import WORKER
from people.api.urls import urlpatterns
from people.models import ApiKey, AuditEvent, Collection, Person
from tests import fakes
from tests.actors import STAFF
from tests.api.program import Program
from tests.times import ago

Make = Callable[..., Program]
ROUTES = {
    "detect": [("POST", "detect/"), ("POST", "compare/"), ("GET", "engine/")],
    "identify": [("POST", "collections/default/identify/"), ("POST", "{person}verify/")],
    "enrol": [
        ("GET", "collections/default/persons/"), ("POST", "collections/default/persons/"),
        ("GET", "{person}"),
        ("PATCH", "{person}"), ("GET", "{person}photos/"), ("POST", "{person}photos/"),
        ("GET", "{person}photos/{uuid}/"), ("DELETE", "{person}photos/{uuid}/"),
        ("GET", "collections/default/imports/"), ("POST", "collections/default/imports/"),
        ("GET", "collections/default/imports/{uuid}/"),
        ("GET", "collections/default/imports/{uuid}/items/"),
        ("POST", "collections/default/imports/{uuid}/cancel/"),
    ],
    "manage": [("GET", "collections/"), ("POST", "collections/"), ("GET", "collections/default/"),
               ("PATCH", "collections/default/"), ("DELETE", "collections/default/"),
               ("POST", "{person}merge/"), ("GET", "merges/{uuid}/"), ("POST", "merges/{uuid}/undo/")],
    "erase": [("DELETE", "{person}"), ("GET", "erasures/{uuid}/")],
}  # fmt: skip
ALL = [(scope, method, path) for scope, routes in ROUTES.items() for method, path in routes]


def _path(path: str, person: Person) -> str:
    filled = path.replace("{person}", f"collections/default/persons/{person.pk}/")
    return "/api/v1/" + filled.replace("{uuid}", "00000000-0000-0000-0000-000000000000")


@pytest.fixture
def person(collection: Collection) -> Person:
    return Person.objects.create(collection=collection)


@pytest.mark.parametrize(("scope", "method", "path"), ALL)
def test_each_route_refuses_keys_without_its_scope(
    program: Make, person: Person, scope: str, method: str, path: str
) -> None:
    other_scopes = [name for name in ROUTES if name != scope]
    response = program(*other_scopes).generic(method, _path(path, person))
    assert response.status_code == 403, response.content
    assert response.json()["code"] == "not_allowed"
    assert scope in response.json()["detail"]


@pytest.mark.parametrize(("scope", "method", "path"), ALL)
def test_each_route_refuses_requests_without_a_key(
    person: Person, scope: str, method: str, path: str
) -> None:
    response = Program(raise_request_exception=False).generic(method, _path(path, person))
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_the_table_of_scopes_has_every_route(person: Person) -> None:
    listed = {_path(path, person) for _, _, path in ALL}
    for pattern in urlpatterns:
        names = {name: str(person.pk) for name in pattern.pattern.converters}
        names |= {"collection": "default"} if "collection" in names else {}
        names |= {"photo": "00000000-0000-0000-0000-000000000000"} if "photo" in names else {}
        names |= {"job": "00000000-0000-0000-0000-000000000000"} if "job" in names else {}
        names |= {"erasure": "00000000-0000-0000-0000-000000000000"} if "erasure" in names else {}
        names |= {"merge": "00000000-0000-0000-0000-000000000000"} if "merge" in names else {}
        route = str(pattern.pattern)
        for name, value in names.items():
            route = route.replace(f"<uuid:{name}>", value).replace(f"<str:{name}>", value)
        assert f"/api/v1/{route}" in listed


@pytest.mark.parametrize("state", ["expired", "revoked", "wrong secret", "unknown", "no bearer", "empty"])
def test_an_invalid_key_is_refused(program: Make, state: str) -> None:
    key, text = api_keys.issue(label="key", scopes=["detect"], actor=STAFF)
    if state == "expired":
        ApiKey.objects.filter(pk=key.pk).update(expires_at=ago(seconds=1))
    if state == "revoked":
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    header = {
        "wrong secret": f"Bearer {text[:-1]}{'a' if text[-1] != 'a' else 'b'}",
        "unknown": "Bearer frk_00000000_x",
        "no bearer": f"Token {text}",
        "empty": "Bearer ",
    }.get(state, f"Bearer {text}")
    client = Program()
    client.credentials(HTTP_AUTHORIZATION=header)
    assert client.get("/api/v1/engine/").status_code == 401


def test_a_key_of_one_collection_has_no_access_to_another(program: Make, collection: Collection) -> None:
    second = Collection.objects.create(name="second")
    person = Person.objects.create(collection=second)
    api = program(collection=collection)
    for method, path in [
        ("GET", "collections/second/"),
        ("PATCH", "collections/second/"),
        ("DELETE", "collections/second/"),
        ("GET", "collections/second/persons/"),
        ("POST", "collections/second/persons/"),
        ("GET", f"collections/second/persons/{person.pk}/"),
        ("DELETE", f"collections/second/persons/{person.pk}/"),
        ("GET", f"collections/default/persons/{person.pk}/"),
    ]:
        assert api.generic(method, f"/api/v1/{path}").status_code == 404, (method, path)
    for path in ("collections/second/identify/", f"collections/second/persons/{person.pk}/verify/"):
        assert api.send_photo(f"/api/v1/{path}", fakes.photo(1)).status_code == 404
    assert [row["name"] for row in api.get("/api/v1/collections/").json()["results"]] == ["default"]
    assert api.post("/api/v1/collections/", {"name": "third"}).status_code == 400
    assert Person.objects.filter(pk=person.pk).exists()


def test_a_key_is_limited_to_its_rate_and_headers_report_the_remaining_requests(program: Make) -> None:
    api = program("detect", rate="3/day")
    remaining = [api.get("/api/v1/engine/")["RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    response = api.get("/api/v1/engine/")
    assert (response.status_code, response.json()["code"]) == (429, "too_many_requests")
    assert int(response["Retry-After"]) > 0
    assert response["RateLimit-Limit"] == "3"


def test_staff_may_use_the_api_with_their_permissions_and_a_csrf_token(
    staff: User, collection: Collection
) -> None:
    session = Client(enforce_csrf_checks=True)
    session.force_login(staff)
    assert session.get("/api/v1/engine/").status_code == 200
    assert session.post("/api/v1/collections/", {"name": "x"}, "application/json").status_code == 403
    clerk = User.objects.create_user("clerk", is_staff=True)
    session.force_login(clerk)
    assert session.get("/api/v1/engine/").status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_person"))
    assert session.get("/api/v1/engine/").status_code == 200
    assert session.get("/api/v1/collections/").status_code == 403


def test_a_user_who_is_not_staff_is_refused(collection: Collection) -> None:
    session = Client()
    session.force_login(User.objects.create_user("visitor"))
    assert session.get("/api/v1/engine/").status_code == 401


def test_a_valid_request_id_is_kept_and_an_invalid_one_is_replaced(program: Make) -> None:
    api = program()
    assert api.get("/api/v1/engine/", headers={"X-Request-ID": "abc-1"})["X-Request-ID"] == "abc-1"
    assert "<" not in api.get("/api/v1/engine/", headers={"X-Request-ID": "<script>"})["X-Request-ID"]


def test_the_audit_records_the_id_of_the_request_if_there_is_one(program: Make, person: Person) -> None:
    response = program().post("/api/v1/collections/", {"name": "second"})
    assert AuditEvent.objects.get(action="collection.created").request_id == response["X-Request-ID"]
    erasure.erase(person, actor=WORKER)
    assert AuditEvent.objects.get(action="person.erased").request_id == ""


def test_responses_are_not_cached(program: Make) -> None:
    assert program().get("/api/v1/engine/")["Cache-Control"] == "no-store"


def test_health_accepts_any_host_and_ready_reports_each_part(client: Client, db: None) -> None:
    assert client.get("/health", headers={"Host": "10.0.3.17:8000"}).json() == {"status": "ok"}
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["database"], ready.json()["index"]) == (200, "ok", "ok")
    assert client.get("/ready", headers={"Host": "10.0.3.17:8000"}).status_code == 400


def test_the_docs_use_only_local_assets(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page
    assert client.get("/api/schema/").status_code == 200
