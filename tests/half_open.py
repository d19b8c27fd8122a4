"""A client in the middle of its handshake: it has asked for a connection and doesn't hear the answer yet."""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress

from facerec_site.handshakes import SO_ATTACH_FILTER

SO_DETACH_FILTER = 27


def half_open(address: tuple[str, int], family: int = socket.AF_INET) -> socket.socket:
    client = socket.socket(family)
    drop_everything = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(drop_everything))
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    client.setblocking(False)
    with suppress(BlockingIOError):
        client.connect(address)
    client.settimeout(30)
    return client


def hear_answer(client: socket.socket) -> None:
    """Let the handshake complete: the server repeats its answer after a second."""
    client.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
