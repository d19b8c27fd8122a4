"""Differences for the test suite: everything in a folder of its own, quick password hashes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# The models and samples are the checkout's own; all else is thrown away with the run.
_checkout_var = Path(__file__).resolve().parents[2] / "var"
os.environ.setdefault("FACEREC_MODELS_DIR", str(_checkout_var / "models"))
os.environ.setdefault("FACEREC_SAMPLES_DIR", str(_checkout_var / "samples"))
os.environ.setdefault("FACEREC_VAR_DIR", tempfile.mkdtemp(prefix="facerec-test-"))

from .base import *  # noqa: E402, F403
from .base import DATABASES, FACEREC_VAR_DIR, INSTALLED_APPS, STATIC_ROOT  # noqa: E402

SECRET_KEY = "only-for-tests"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS += ["benchmark"]  # as in development
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A file, not memory: threads and processes of the tests share it as in production.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": FACEREC_VAR_DIR / "test.sqlite3"}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# Synthetic photos; tests of the real engine ask for it.
FACE_ENGINE = {"BACKEND": "tests.fakes.FakeEngine", "OPTIONS": {}}
STATIC_ROOT.mkdir(parents=True)
