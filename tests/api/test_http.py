"""HTTP with gunicorn and Django: chunked bodies, HEAD, and requests that can't be read."""

from __future__ import annotations

import base64
import io
import json
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from typing import Any

import pytest
import requests

from facerec_site.chunked_bodies import ChunkedBody
from tests import fakes
from tests.importing import PEOPLE, zipped
from tests.service import Service, running

pytestmark = pytest.mark.once
PERSONS = "/api/v1/collections/default/persons/"
IMPORTS = "/api/v1/collections/default/imports/"
MISSING_ID = "00000000-0000-0000-0000-000000000000"
LISTS = ("/api/v1/collections/", "/api/v1/collections/default/", PERSONS, IMPORTS, "/api/v1/engine/",
         "/api/schema/", "/api/docs/")  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with running(folder, FACEREC_TEST_FAKE_ENGINE="1", FACEREC_IMPORT_MAX_MB="2") as service:
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")
        collections = f"{service.url}/api/v1/collections/"
        requests.post(collections, json={"name": "default"}, headers=service.headers, timeout=30)
        yield service


class RawResponse:
    """A response, read to its end."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        with closing(HTTPResponse(connection, method=method)) as response:
            response.begin()
            self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self) -> Any:
        return json.loads(self.body)

    def is_problem(self, status: int, code: str) -> None:
        assert (self.status, self.headers["Content-Type"]) == (status, "application/problem+json"), self.body
        problem = self.json()
        assert (problem["status"], problem["code"]) == (status, code), problem
        assert problem["detail"]
        assert problem["request_id"] == self.headers["X-Request-ID"]


@contextmanager
def _connected(service: Service) -> Iterator[socket.socket]:
    port = int(service.url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        yield connection


def _head(
    service: Service, method: str, path: str, headers: Mapping[str, str], *, host: str = "localhost"
) -> bytes:
    all_headers = {"Host": host, **service.headers, **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _chunks(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _send_chunked(
    service: Service,
    method: str,
    path: str,
    kind: str,
    body: bytes,
    *,
    size: int = 10_000,
    headers: Mapping[str, str] | None = None,
) -> RawResponse:
    with _connected(service) as connection:
        request_headers = {"Transfer-Encoding": "chunked", "Content-Type": kind, **(headers or {})}
        connection.sendall(_head(service, method, path, request_headers) + _chunks(body, size))
        response = RawResponse(connection, method)
        if response.status < 400:
            # the next request on the connection must not be read as part of the body
            connection.sendall(_head(service, "GET", "/api/v1/engine/", {}))
            assert RawResponse(connection, "GET").status == 200
        return response


def _form(files: Iterable[tuple[str, str, bytes]]) -> tuple[str, bytes]:
    parts = [
        b'--frontier\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode(), data)
        for field, name, data in files
    ]
    return "multipart/form-data; boundary=frontier", b"".join(parts) + b"--frontier--\r\n"


def _json(content: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(content).encode()


def _person(service: Service, **fields: Any) -> str:
    response = requests.post(f"{service.url}{PERSONS}", json=fields, headers=service.headers, timeout=30)
    return f"{PERSONS}{response.json()['id']}/"


def _in_base64(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode()}


@pytest.mark.parametrize("size", [1, 7, 8_192, 1_000_000])
def test_a_chunked_body_of_json_is_read(service: Service, size: int) -> None:
    response = _send_chunked(service, "POST", PERSONS, *_json({"name": f"Ada {size}"}), size=size)
    assert (response.status, response.json()["name"]) == (201, f"Ada {size}")
    path = f"{PERSONS}{response.json()['id']}/"
    response = _send_chunked(service, "PATCH", path, *_json({"name": "Grace"}), size=size)
    assert (response.status, response.json()["name"]) == (200, "Grace")


@pytest.mark.parametrize("size", [1_000, 65_536, 10_000_000])
def test_a_chunked_photo_is_read(service: Service, size: int) -> None:
    photo = fakes.photo(1, 2)
    for kind, body in (
        _form([("photo", "1.png", photo)]),
        _json({"photo": _in_base64(photo)}),
    ):
        response = _send_chunked(service, "POST", "/api/v1/detect/", kind, body, size=size)
        assert (response.status, len(response.json()["faces"])) == (200, 2), response.body
    for kind, body in (
        _form([("source", "1.png", fakes.photo(1)), ("target", "2.png", photo)]),
        _json({"source": _in_base64(fakes.photo(1)), "target": _in_base64(photo)}),
    ):
        response = _send_chunked(service, "POST", "/api/v1/compare/", kind, body, size=size)
        assert [face["match"] for face in response.json()["faces"]] == [True, False]


def test_a_chunked_enrolment_is_the_same_request_as_one_with_a_length(service: Service) -> None:
    path = f"{_person(service)}photos/"
    kind, body = _form([("photo", "1.png", fakes.photo(7))])
    first = _send_chunked(service, "POST", path, kind, body, headers={"Idempotency-Key": "one"})
    assert first.status == 201, first.body
    url, headers = f"{service.url}{path}", {**service.headers, "Content-Type": kind, "Idempotency-Key": "one"}
    again = requests.post(url, data=body, headers=headers, timeout=30)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json() == first.json()


def test_a_chunked_archive_is_imported(service: Service) -> None:
    kind, body = _form([("archive", "people.zip", zipped(PEOPLE).getvalue())])
    response = _send_chunked(service, "POST", f"{IMPORTS}?dry_run=true", kind, body)
    assert response.status == 202, response.body
    assert service.wait_until_done(60) == 0
    job = requests.get(
        f"{service.url}{IMPORTS}{response.json()['id']}/", headers=service.headers, timeout=30
    ).json()
    assert (job["state"], job["counts"]["enrolled"]) == ("complete", 3)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/api/v1/merges/{MISSING_ID}/undo/"), ("POST", f"{IMPORTS}{MISSING_ID}/cancel/"),
     ("DELETE", f"{PERSONS}{MISSING_ID}/")],
)  # fmt: skip
def test_an_empty_chunked_body_counts_as_no_body(service: Service, method: str, path: str) -> None:
    _send_chunked(service, method, path, "application/json", b"").is_problem(404, "not_found")


def test_a_chunked_body_of_an_unsupported_type_is_refused(service: Service) -> None:
    for kind in ("text/plain", "application/octet-stream", "application/x-www-form-urlencoded", ""):
        response = _send_chunked(service, "POST", PERSONS, kind, b"name=Ada")
        response.is_problem(415, "unsupported_media_type")


def test_extensions_and_trailers_of_chunks_are_ignored(service: Service) -> None:
    body = b'5;name="value"\r\n{"nam\r\n9\r\ne":"Ada"}\r\n0\r\nX-Sum: 1\r\n\r\n'
    with _connected(service) as connection:
        request_headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        connection.sendall(_head(service, "POST", PERSONS, request_headers) + body)
        response = RawResponse(connection, "POST")
    assert (response.status, response.json()["name"]) == (201, "Ada")


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nab\r\n", b"5\r\nab", b"5\r\n{}", b"-1\r\n", b"2\r\n{}xx0\r\n\r\n", b"2\r\n{}\r\n", b"",
     b"2;\r\r\n{}\r\n",
     b"f" * 10_000, b"ffffffffffffffffffff\r\n{}"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=frontier"])
def test_malformed_chunks_are_refused(service: Service, body: bytes, kind: str) -> None:
    people = service.sql("SELECT count(*) FROM people_person")
    with _connected(service) as connection:
        request_headers = {"Transfer-Encoding": "chunked", "Content-Type": kind}
        connection.sendall(_head(service, "POST", PERSONS, request_headers) + body)
        connection.shutdown(socket.SHUT_WR)
        RawResponse(connection, "POST").is_problem(400, "malformed")
    assert service.sql("SELECT count(*) FROM people_person") == people


def test_chunked_bodies_have_the_same_limits_as_others(service: Service) -> None:
    endless = json.dumps({"photo": {"base64": "A" * 16_000_000}}).encode()
    response = _send_chunked(service, "POST", "/api/v1/detect/", "application/json", endless, size=500_000)
    response.is_problem(413, "too_large")
    kind, body = _form([("photo", "1.png", bytes(20_000_000))])
    response = _send_chunked(service, "POST", "/api/v1/detect/", kind, body, size=500_000)
    response.is_problem(413, "photo_too_large")
    kind, body = _form([("archive", "people.zip", bytes(3_000_000))])
    response = _send_chunked(service, "POST", IMPORTS, kind, body, size=500_000)
    response.is_problem(413, "archive_too_large")


def test_every_chunked_body_has_a_limit() -> None:
    assert ChunkedBody(io.BytesIO(b"abc"), 3).read() == b"abc"
    with pytest.raises(OSError, match="too large"):
        ChunkedBody(io.BytesIO(b"abcd"), 3).read()


def test_head_is_get_without_a_body(service: Service) -> None:
    paths = [
        *LISTS,
        _person(service),
        f"{PERSONS}{MISSING_ID}/",
        "/api/v1/no/such/path/",
        f"{PERSONS}?page_size=0",
    ]
    with _connected(service) as connection:
        for path in paths:
            responses = []
            for method in ("GET", "HEAD"):
                connection.sendall(_head(service, method, path, {"Connection": "keep-alive"}))
                responses.append(RawResponse(connection, method))
            get, head = responses
            assert (head.status, head.body) == (get.status, b""), path
            assert head.headers["Content-Type"] == get.headers["Content-Type"]
            assert head.headers["Content-Length"] in (get.headers["Content-Length"], None)


def test_options_lists_the_methods(service: Service) -> None:
    with _connected(service) as connection:
        connection.sendall(_head(service, "OPTIONS", PERSONS, {}))
        response = RawResponse(connection, "OPTIONS")
    assert (response.status, response.headers["Allow"]) == (200, "GET, POST, HEAD, OPTIONS")
    assert response.json() == {"methods": ["GET", "POST", "HEAD", "OPTIONS"]}


LONG = "a" * 5_000
UNREADABLE = {
    "long address": (f"GET {PERSONS}?search={LONG} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "uri_too_long"),
    "very long address": (f"GET /{LONG * 100} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "uri_too_long"),
    "long header": (f"GET {PERSONS} HTTP/1.1\r\nX-Long: {LONG * 3}\r\n\r\n", 431, "headers_too_large"),
    "many headers": (
        f"GET {PERSONS} HTTP/1.1\r\n" + "X-Many: 1\r\n" * 200 + "\r\n", 431, "headers_too_large"
    ),
    "header without a colon": (f"GET {PERSONS} HTTP/1.1\r\nHost\r\n\r\n", 400, "malformed"),
    "header with a space": (f"GET {PERSONS} HTTP/1.1\r\nHo st: a\r\n\r\n", 400, "malformed"),
    "nul in a header": (f"GET {PERSONS} HTTP/1.1\r\nX-Nul: a\0b\r\n\r\n", 400, "malformed"),
    "two hosts": (f"GET {PERSONS} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed"),
    "no version": (f"GET {PERSONS}\r\n\r\n", 400, "malformed"),
    "other version": (f"GET {PERSONS} HTTP/3.0\r\n\r\n", 400, "malformed"),
    "lower-case method": (f"get {PERSONS} HTTP/1.1\r\n\r\n", 400, "malformed"),
    "not HTTP": ("\x16\x03\x01 hello there\r\n\r\n", 400, "malformed"),
    "raw UTF-8 in the path": ("GET /api/v1/é/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed"),
    "length that is no number": (f"POST {PERSONS} HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "malformed"),
    "negative length": (f"POST {PERSONS} HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "malformed"),
    "length and chunks": (
        f"POST {PERSONS} HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        400, "malformed"
    ),
    "coding without chunks": (
        f"POST {PERSONS} HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "malformed"
    ),
    "unknown coding": (f"POST {PERSONS} HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", 501, "not_implemented"),
    "unknown expectation": (f"POST {PERSONS} HTTP/1.1\r\nExpect: tea\r\n\r\n", 417, "expectation_failed"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_request_gets_a_problem(
    service: Service, request_: str, status: int, code: str
) -> None:
    with _connected(service) as connection:
        connection.sendall(request_.encode())
        response = RawResponse(connection, "GET")
        response.is_problem(status, code)
        assert response.headers["Connection"] == "close"
        uuid.UUID(response.json()["request_id"])
        log = (service.folder / "web.log").read_text()
        assert response.json()["request_id"] in log
        assert LONG not in log


@pytest.mark.parametrize(
    "kind",
    ["text/plain; charset*=no-such''x", "application/json; charset*=utf-8''%00",
     "text/plain; a*0*=no-such''x",
     "multipart/form-data; boundary*=no-such''x"],
)  # fmt: skip
def test_an_unreadable_content_type_is_refused(service: Service, kind: str) -> None:
    headers = {**service.headers, "Content-Type": kind}
    response = requests.post(f"{service.url}{PERSONS}", data=b"{}", headers=headers, timeout=30)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("host", ["elsewhere.example", "a b", "", "localhost:x", "[::1", "ö"])
def test_an_unknown_host_gets_a_problem(service: Service, host: str) -> None:
    for method, path in (("GET", PERSONS), ("POST", PERSONS), ("GET", "/api/docs/"), ("GET", "/api/none/")):
        with _connected(service) as connection:
            connection.sendall(_head(service, method, path, {"Content-Length": "0"}, host=host))
            RawResponse(connection, method).is_problem(400, "unknown_host")
