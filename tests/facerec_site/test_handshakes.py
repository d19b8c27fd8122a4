"""A listening socket completes the handshakes it has begun, and begins no new ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from facerec_site.handshakes import pending_handshakes, stop_handshakes
from tests.half_open import complete_handshake, half_open
from tests.load import wait_for

pytestmark = pytest.mark.once


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        listener.settimeout(30)
        yield listener


def test_clients_that_are_already_connecting_are_accepted_and_later_ones_are_refused(
    listener: socket.socket,
) -> None:
    host, port = listener.getsockname()[:2]
    with (
        ThreadPoolExecutor() as threads,
        socket.create_connection((host, port)) as connected,
        half_open((host, port), listener.family) as connecting,
    ):
        assert pending_handshakes(listener) == 1
        stop_handshakes(listener)
        late = threads.submit(socket.create_connection, (host, port), timeout=30)
        complete_handshake(connecting)
        wait_for(lambda: pending_handshakes(listener) == 0)
        for client in (connected, connecting):
            accepted, _ = listener.accept()
            with accepted:
                client.sendall(b"request")
                assert accepted.recv(7) == b"request"
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            late.result()


def test_handshakes_with_other_sockets_do_not_count(listener: socket.socket) -> None:
    with socket.socket() as second_listener:
        second_listener.bind(("127.0.0.1", 0))
        second_listener.listen()
        with half_open(second_listener.getsockname()):
            assert pending_handshakes(second_listener) == 1
            assert pending_handshakes(listener) == 0


def test_sockets_other_than_tcp_are_left_alone() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        stop_handshakes(listener)
        assert pending_handshakes(listener) == 0
