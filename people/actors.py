"""Who does something: a member of staff, an API key, or the service itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`label` is what the audit keeps: `user:7`, `key:3f9a1c2b`, `system:worker`. Never a name."""

    label: str


WORKER = Actor("system:worker")
RETENTION = Actor("system:retention")
COMMAND = Actor("system:command")
