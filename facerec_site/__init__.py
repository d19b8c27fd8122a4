"""The Django project: settings, URLs, middleware and process start-up. No domain logic."""

from __future__ import annotations

import os

VERSION = "0.5.0"
"""Of the newest release in CHANGELOG.md. The OpenAPI document states it."""
ENVIRONMENTS = ("development", "test", "production")


def choose_settings() -> None:
    """Select the settings module for ENVIRONMENT, unless DJANGO_SETTINGS_MODULE is already set.

    Raises SystemExit for an unknown ENVIRONMENT, so that a typo never selects the wrong settings.
    """
    environment = os.environ.get("ENVIRONMENT", "development")
    if environment not in ENVIRONMENTS:
        raise SystemExit(f"ENVIRONMENT is {environment!r}. Set it to one of {', '.join(ENVIRONMENTS)}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"facerec_site.settings.{environment}")
