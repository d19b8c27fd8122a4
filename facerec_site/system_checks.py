"""Runs Django's system checks in processes that aren't started by manage.py."""

from __future__ import annotations

from django.core.management.base import BaseCommand, SystemCheckError


def exit_on_errors() -> None:
    """Run the checks that manage.py runs before a command. Warnings are printed to stderr.

    Raises SystemExit with a message that lists every error and how to fix it.
    """
    try:
        BaseCommand().check()
    except SystemCheckError as error:
        raise SystemExit(f"facerec-api can't start: {error}") from None
