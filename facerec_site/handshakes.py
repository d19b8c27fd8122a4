"""TCP handshakes with a listening socket: stop new ones, and count those in progress.

When the last process closes a listening socket, Linux resets every connection in its accept queue and every
incomplete handshake. So does shutdown(). The only way to empty both first is to keep new clients out while
the socket still listens.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

SO_ATTACH_FILTER = 26
"""From Linux's asm-generic/socket.h; Python doesn't define it."""
_DROP_NEW_CLIENTS = (
    # Classic BPF (Linux, Documentation/networking/filter.rst): operation, jump if true, if false, operand.
    # The program sees the packet from its TCP header on, which has the flags in byte 13.
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # if only SYN is set, which begins a handshake,
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else let it pass
)
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, _ERROR, _DONE = 4, 20, 0x301, 2, 3
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port id
_SYN_RECEIVED = 3  # bit number in the mask of requested states


def stop_handshakes(listener: socket.socket) -> None:
    """Have the kernel drop packets that begin a handshake, in every process that has the socket.

    Handshakes in progress and open connections continue. A client whose packet was dropped resends it after a
    second and is refused if the socket is closed by then. Does nothing on systems other than Linux, or for
    sockets that aren't TCP.

    Raises OSError if the kernel has no socket filters.
    """
    if sys.platform != "linux" or listener.family == socket.AF_UNIX:
        return
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_NEW_CLIENTS)
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HP", len(_DROP_NEW_CLIENTS), ctypes.addressof(buffer))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)


def pending_handshakes(listener: socket.socket) -> int:
    """Return how many clients have begun a handshake with the socket's port and not completed it.

    Returns 0 on systems other than Linux, and for sockets that aren't TCP. Takes half a millisecond.
    Protocol: sock_diag(7), netlink(7).

    Raises OSError if the kernel has no socket diagnostics.
    """
    if sys.platform != "linux" or listener.family == socket.AF_UNIX:
        return 0
    port: int = listener.getsockname()[1]
    query = struct.pack("=BBBxI", listener.family, socket.IPPROTO_TCP, 0, 1 << _SYN_RECEIVED)
    query += struct.pack(">H", port).ljust(48, b"\0")
    pending = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(
            _HEADER.pack(_HEADER.size + len(query), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0) + query
        )
        while True:
            messages = kernel.recv(1 << 16)
            while messages:
                length, kind, *_ = _HEADER.unpack_from(messages)
                if kind == _DONE:
                    return pending
                if kind == _ERROR:
                    raise OSError("the kernel has no socket diagnostics")
                pending += 1
                messages = messages[(length + 3) & ~3 :]  # each message is aligned to four bytes
