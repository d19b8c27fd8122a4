from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

import pytest

from benchmark.errors import BenchmarkError
from benchmark.load import Client

pytestmark = pytest.mark.once


@contextmanager
def _server(*statuses: int) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the URL of a server that responds with these statuses in turn, and the bodies it receives."""
    next_statuses, bodies = cycle(statuses), list[bytes]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(next(next_statuses))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()


def test_responses_are_counted_by_status_and_only_those_with_200_are_timed() -> None:
    with _server(200, 503) as (url, bodies):
        load = Client(url, "key", b"the photo").send(1, 0.2)
    assert set(load.statuses) == {"200", "503"}
    assert sum(load.statuses.values()) == len(bodies)
    assert 0 < load.p50_ms <= load.p99_ms
    assert all(b'name="photo"' in body and b"the photo" in body for body in bodies)


def test_a_steady_rate_sends_as_many_requests_as_become_due() -> None:
    with _server(200) as (url, bodies):
        load = Client(url, "key", b"photo").send(4, 0.5, rate=40)
    assert len(bodies) == load.statuses["200"] == 21  # one immediately, then one every 25 ms


def test_a_service_that_never_returns_200_is_reported() -> None:
    with _server(404) as (url, _), pytest.raises(BenchmarkError, match=r"\{404: \d+\}"):
        Client(url, "key", b"photo").send(2, 0.1)


def test_a_service_that_stops_responding_is_reported_immediately() -> None:
    with pytest.raises(BenchmarkError, match="ConnectionRefusedError"):
        Client("http://127.0.0.1:1/", "key", b"photo").send(2, 600)
