"""A TCP client in the middle of its handshake: it has sent SYN and drops the server's SYN-ACK."""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress

from facerec_site.handshakes import SO_ATTACH_FILTER

SO_DETACH_FILTER = 27


def half_open(address: tuple[str, int], family: int = socket.AF_INET) -> socket.socket:
    """Begin to connect to `address`, with a socket filter that drops everything the server sends."""
    client = socket.socket(family)
    drop_everything = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(drop_everything))
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    client.setblocking(False)
    with suppress(BlockingIOError):
        client.connect(address)
    client.settimeout(30)
    return client


def complete_handshake(client: socket.socket) -> None:
    """Remove the filter, so that the client receives the SYN-ACK that the server repeats after a second."""
    client.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
