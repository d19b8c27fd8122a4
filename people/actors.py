"""Who is acting (a member of staff, an API key, or the service itself), and in which request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `label` is what the audit log records: `user:7`, `key:3f9a1c2b`, `system:worker`; no name."""

    label: str


WORKER = Actor("system:worker")
RETENTION = Actor("system:retention")
COMMAND = Actor("system:command")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, for logs and the audit log. The middleware sets it.

At most 64 letters, digits, dots, dashes and underscores; empty outside a request, for example in a task.
"""
