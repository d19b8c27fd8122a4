from __future__ import annotations

import socket

import pytest


def test_the_tests_reach_no_host_but_this_one() -> None:
    # pytest-socket warns before it raises, and warnings are errors here
    with socket.socket() as connection, pytest.raises(UserWarning, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))
