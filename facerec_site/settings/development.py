"""Settings for one machine without set-up: the secret key is created on first use, next to the database."""

from __future__ import annotations

import os
import secrets

from .base import *  # noqa: F403
from .base import FACEREC_VAR_DIR, INSTALLED_APPS, STATIC_ROOT, env


def _local_secret_key() -> str:
    path = FACEREC_VAR_DIR / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text()


SECRET_KEY = env("SECRET_KEY", default="") or _local_secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# Not part of the product: neither the production settings nor the image include it.
INSTALLED_APPS += ["benchmark"]
# Serves static files without running collectstatic first.
WHITENOISE_USE_FINDERS = True
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
