"""Django's system checks, for processes that manage.py doesn't start."""

from __future__ import annotations

from django.core.management.base import BaseCommand, SystemCheckError


def exit_on_errors() -> None:
    """Run the checks that every command of manage.py runs first. Warnings are printed to stderr.

    Raises SystemExit, with a text that lists every error and what to do about it.
    """
    try:
        BaseCommand().check()
    except SystemCheckError as error:
        raise SystemExit(f"facerec-api can't start: {error}") from None
