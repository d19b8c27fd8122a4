"""The Django project: every wire, no domain logic."""

from __future__ import annotations

import os

VERSION = "0.5.0"
"""Of the newest release in CHANGELOG.md. The OpenAPI document states it."""
ENVIRONMENTS = ("development", "test", "production")


def choose_settings() -> None:
    """Point Django at the settings of ENVIRONMENT, unless DJANGO_SETTINGS_MODULE says otherwise.

    Raises SystemExit for an unknown ENVIRONMENT: a typo must never start with the wrong settings.
    """
    environment = os.environ.get("ENVIRONMENT", "development")
    if environment not in ENVIRONMENTS:
        raise SystemExit(f"ENVIRONMENT is {environment!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"facerec_site.settings.{environment}")
