"""A gunicorn worker that stops without resetting a connection.

A stopping worker keeps serving while it drains, in three steps. It listens until no client has connected for
a moment. Then it stops the kernel from beginning new handshakes and accepts every client whose handshake has
begun. Only then does it close the listening sockets, when no connection is left for the kernel to reset: see
handshakes.py.

Two limits remain. A client whose handshake takes longer than HANDSHAKE_SECONDS is reset, and HTTP/1.1 can't
close an idle keep-alive connection without the risk that a request is on its way. The service has processed
nothing of either request, so it is safe to send both again.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from contextlib import suppress
from socket import socket
from typing import Any

from facerec_site.handshakes import pending_handshakes, stop_handshakes
from facerec_site.refusing import RefusingWorker

QUIET_SECONDS = 0.5
"""The service counts as idle when no client has connected for this long."""
LISTENING_SECONDS = 3.0
"""Longest wait for the service to become idle. Under constant load it never does."""
SETTLED_SECONDS = 0.1
"""Wait for packets that the kernel was already processing when handshakes were stopped."""
HANDSHAKE_SECONDS = 2.0
"""Longest wait for handshakes to complete: enough to resend one lost packet, which takes a second."""
SILENCE_SECONDS = 2.0
"""Time allowed for connections that have never sent anything, as gunicorn allows idle keep-alive ones."""
POLL_SECONDS = 0.05


class _Stop(ctypes.Structure):
    """Two times of time.monotonic() in seconds; zero means never."""

    began: float
    last_connection: float
    _fields_ = [("began", ctypes.c_double), ("last_connection", ctypes.c_double)]


_stop = _Stop.from_buffer(mmap.mmap(-1, ctypes.sizeof(_Stop)))
"""Shared by the arbiter and the workers that it forks."""


def announce_stop(arbiter: Any) -> None:
    """Have this gunicorn.arbiter.Arbiter notify its workers when it stops all of them.

    A worker that is merely replaced must leave the listening sockets alone: other workers use them.
    """
    handle_term = arbiter.handle_term

    def announce_and_handle_term() -> None:
        # During an upgrade with SIGUSR2, two arbiters share the sockets, and the other one keeps running.
        arbiter.maybe_promote_master()
        if arbiter.reexec_pid == arbiter.master_pid == 0:
            _stop.began = time.monotonic()
        handle_term()

    arbiter.handle_term = announce_and_handle_term


class DrainingWorker(RefusingWorker):
    """A gunicorn worker that drains its listening sockets before it stops."""

    def accept(self, listener: socket) -> None:
        connections = self.nr_conns
        super().accept(listener)
        if self.nr_conns > connections:
            _stop.last_connection = time.monotonic()

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Drain when gunicorn disables accepting in order to stop, before it waits for open requests."""
        if not enabled and not self.alive and _stop.began and self.sockets:
            self._stop_listening()
        super().set_accept_enabled(enabled)

    def _stop_listening(self) -> None:
        super().set_accept_enabled(True)  # gunicorn disables it when a worker has too many connections
        self._serve_until_idle(QUIET_SECONDS, LISTENING_SECONDS)
        for listener in self.sockets:
            with suppress(OSError):  # without kernel support, a client that connects now may be reset
                stop_handshakes(listener)
        self._serve_until_idle(SETTLED_SECONDS, HANDSHAKE_SECONDS)
        for listener in self.sockets:
            while self._accepts_client(listener):
                pass
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()  # the kernel refuses new clients from here on
        self.sockets = []
        for connection in self.pending_conns:
            connection.timeout = time.monotonic() + SILENCE_SECONDS

    def _serve_until_idle(self, quiet_seconds: float, limit_seconds: float) -> None:
        """Serve until no client is waiting and none has connected to any worker for `quiet_seconds`.

        Stops after `limit_seconds` in any case.
        """
        began = busy_at = now = time.monotonic()
        while now < busy_at + quiet_seconds and now < began + limit_seconds:
            self.notify()
            self._serve(POLL_SECONDS)
            now = time.monotonic()
            busy_at = now if any(map(_has_clients, self.sockets)) else max(busy_at, _stop.last_connection)

    def _serve(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            self.wait_for_and_dispatch_events(remaining)

    def _accepts_client(self, listener: socket) -> bool:
        """Accept one client. Return whether there was one."""
        connections = self.nr_conns
        self.accept(listener)
        return self.nr_conns > connections


def _has_clients(listener: Any) -> bool:
    """Return whether clients of this gunicorn.sock.BaseSocket are connecting or waiting to be accepted."""
    if listener.get_backlog() > 0:
        return True
    try:
        return pending_handshakes(listener) > 0
    except OSError:  # the kernel has no socket diagnostics
        return False
