"""Actors for tests."""

from __future__ import annotations

from people.actors import Actor

STAFF = Actor("user:1")
