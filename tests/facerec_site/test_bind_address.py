"""The container's health check reaches gunicorn at every address that BIND_ADDRESS may contain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets

from facerec_site import container_health
from facerec_site.bind_address import as_netloc, bind_address, local_address
from tests.servers import free_port

pytestmark = pytest.mark.once

ADDRESSES = ["127.0.0.1", "0.0.0.0", "localhost", "", "::", "::1", "[::]", "[::1]", "0:0:0:0:0:0:0:1"]  # noqa: S104


@contextmanager
def listening(bind: str, status: int = 200) -> Iterator[list[str]]:
    """Open the socket of gunicorn's setting `bind` and serve /health on it. Yields the Host headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    hosts: list[str] = []
    config = Config()
    config.set("bind", bind)
    [listener] = create_sockets(config, Logger(config))
    listener.setblocking(True)
    with closing(listener), HTTPServer(("", 0), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener.sock
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hosts
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=ADDRESSES)
def variables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set BIND_ADDRESS and PORT, and a proxy that doesn't exist."""
    variables = {"BIND_ADDRESS": request.param, "PORT": str(free_port())}
    for name, value in {**variables, "http_proxy": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    return variables


def test_the_health_check_reaches_gunicorn_at_every_address(variables: dict[str, str]) -> None:
    with listening(as_netloc(*bind_address(variables))) as hosts:
        assert container_health.main() == 0
    assert hosts == [as_netloc(*local_address(variables))]


def test_the_health_check_fails_and_reports_the_url_if_nothing_listens(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert container_health.main() == 1
    url = f"http://{as_netloc(*local_address(variables))}/health"
    assert capsys.readouterr().err.startswith(f"{url}: ")


@pytest.mark.parametrize("variables", ["127.0.0.1"], indirect=True)
def test_the_health_check_fails_and_reports_a_status_other_than_200(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(as_netloc(*bind_address(variables)), status=503):
        assert container_health.main() == 1
    assert "status 503" in capsys.readouterr().err


def test_gunicorn_listens_only_on_loopback_by_default() -> None:
    assert bind_address({}) == bind_address({"BIND_ADDRESS": "", "PORT": ""}) == ("127.0.0.1", "8000")
