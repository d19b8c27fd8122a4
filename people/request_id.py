"""The id of the request being answered: whoever answers sets it, logs and audit keep it."""

from __future__ import annotations

from contextvars import ContextVar

current: ContextVar[str] = ContextVar("request_id", default="")
"""At most 64 letters, digits, dots, dashes and underscores; empty outside a request, as in a task."""
