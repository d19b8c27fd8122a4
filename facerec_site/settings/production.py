"""Differences for production: the secret comes from the environment, cookies only over HTTPS."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .required import problems

if found := problems(os.environ):
    raise SystemExit("facerec-api can't start:\n" + "\n".join(f"  {line}" for line in found))

from .base import *  # noqa: F403
from .base import RATE_COUNTER, STORAGES, env

SECRET_KEY = env("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
# The load balancer ends TLS and says so; it overwrites the header, so a client can't forge it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SESSION_COOKIE_SECURE = SECURE_SSL_REDIRECT
CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=3600 if SECURE_SSL_REDIRECT else 0)
STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
# A container's own disk is read-only; the counts of rate limits may go with the container.
if "FACEREC_VAR_DIR" not in os.environ and not env("CACHE_URL", default=""):
    RATE_COUNTER["OPTIONS"]["path"] = Path(tempfile.gettempdir()) / "facerec" / "rate_limits.sqlite3"
