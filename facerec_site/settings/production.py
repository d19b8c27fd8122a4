"""What differs in production: the secret key is read from the environment, and cookies require HTTPS."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .required import problems

if _problems := problems(os.environ):
    raise SystemExit("facerec-api can't start:\n" + "\n".join(f"  {line}" for line in _problems))

from .base import *  # noqa: F403
from .base import RATE_COUNTER, STORAGES, env

SECRET_KEY = env("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
# The load balancer terminates TLS and overwrites this header, so a client can't forge it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SESSION_COOKIE_SECURE = SECURE_SSL_REDIRECT
CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=3600 if SECURE_SSL_REDIRECT else 0)
STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
# A container's file system is read-only. The counts of rate limits may be lost with the container.
if "FACEREC_VAR_DIR" not in os.environ and not env("CACHE_URL", default=""):
    RATE_COUNTER["OPTIONS"]["path"] = Path(tempfile.gettempdir()) / "facerec" / "rate_limits.sqlite3"
