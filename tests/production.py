"""Runs commands in a separate process with the environment variables of production."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMPLETE = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "a-long-and-random-text-of-no-account-with-many-different-letters-0123456789",
    "ALLOWED_HOSTS": "faces.example.org",
    "DATABASE_URL": "postgres://facerec:of-no-account@127.0.0.1:1/facerec",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "AWS_STORAGE_BUCKET_NAME": "photos",
}


def start(variables: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments (default: `manage.py check`) and only these variables; wait for it."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *(command or ("manage.py", "check"))],
        cwd=ROOT,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def production_setting(variables: dict[str, str], name: str) -> Any:
    """Return the value of a setting in production, with the variables of COMPLETE and these."""
    return ast.literal_eval(_production_settings(tuple(variables.items()))[name])


@cache
def _production_settings(variables: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the value of every production setting, as Python source."""
    code = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "print({name: repr(getattr(settings, name)) for name in dir(settings) if name.isupper()})"
    )
    production = {"DJANGO_SETTINGS_MODULE": "facerec_site.settings.production"}
    process = start({**COMPLETE, **production, **dict(variables)}, "-c", code)
    assert process.returncode == 0, process.stderr
    settings: dict[str, str] = ast.literal_eval(process.stdout)
    return settings
