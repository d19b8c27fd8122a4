"""Differences for the test suite: everything in a folder of its own, quick password hashes."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Everything that a test run writes is in one folder, temporary files included, which is removed at the end.
# Programs that the tests start inherit it.
if "FACEREC_TEST_RUN" not in os.environ:
    _run = tempfile.mkdtemp(prefix="facerec-test-")
    atexit.register(shutil.rmtree, _run, ignore_errors=True)
    os.environ["FACEREC_TEST_RUN"] = os.environ["TMPDIR"] = _run
    tempfile.tempdir = None  # TMPDIR is read again
# A worker of pytest-xdist inherits the variable of the process that started it, but needs its own folder.
_shared = f"{os.environ['FACEREC_TEST_RUN']}/main"
if os.environ.get("FACEREC_VAR_DIR", _shared) == _shared:
    _worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    os.environ["FACEREC_VAR_DIR"] = f"{os.environ['FACEREC_TEST_RUN']}/{_worker}"

# The models and samples are the checkout's own.
_checkout_var = Path(__file__).resolve().parents[2] / "var"
os.environ.setdefault("FACEREC_MODELS_DIR", str(_checkout_var / "models"))
os.environ.setdefault("FACEREC_SAMPLES_DIR", str(_checkout_var / "samples"))

from .base import *  # noqa: E402, F403
from .base import DATABASES, FACEREC_VAR_DIR, INSTALLED_APPS, STATIC_ROOT  # noqa: E402

SECRET_KEY = "only-for-tests"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS += ["benchmark"]  # as in development
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A file, not memory: threads and processes of the tests share it as in production.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": FACEREC_VAR_DIR / "test.sqlite3"}
# Synthetic photos; tests of the real engine ask for it.
FACE_ENGINE = {"BACKEND": "tests.fakes.FakeEngine", "OPTIONS": {}}
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
