"""What differs in the test suite: all files are in a temporary folder, and password hashes are fast."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# A test run writes all its files, temporary ones included, to one folder, and removes it at the end.
# Programs that the tests start inherit the folder.
if "FACEREC_TEST_RUN" not in os.environ:
    _run = tempfile.mkdtemp(prefix="facerec-test-")
    atexit.register(shutil.rmtree, _run, ignore_errors=True)
    os.environ["FACEREC_TEST_RUN"] = os.environ["TMPDIR"] = _run
    tempfile.tempdir = None  # TMPDIR is read again
# A worker of pytest-xdist inherits the variable of the process that started it, but needs its own folder.
_main_folder = f"{os.environ['FACEREC_TEST_RUN']}/main"
if os.environ.get("FACEREC_VAR_DIR", _main_folder) == _main_folder:
    _worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    os.environ["FACEREC_VAR_DIR"] = f"{os.environ['FACEREC_TEST_RUN']}/{_worker}"

# The tests use the models and samples that are installed in the checkout.
_checkout_var = Path(__file__).resolve().parents[2] / "var"
os.environ.setdefault("FACEREC_MODELS_DIR", str(_checkout_var / "models"))
os.environ.setdefault("FACEREC_SAMPLES_DIR", str(_checkout_var / "samples"))

from .base import *  # noqa: E402, F403
from .base import DATABASES, FACEREC_VAR_DIR, INSTALLED_APPS, STATIC_ROOT  # noqa: E402

SECRET_KEY = "only-for-tests"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS += ["benchmark"]  # as in development
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A file instead of memory, so that the tests' threads and processes share it, as in production.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": FACEREC_VAR_DIR / "test.sqlite3"}
# The fake engine recognises the synthetic photos. Tests of the real engine configure it themselves.
FACE_ENGINE = {"BACKEND": "tests.fakes.FakeEngine", "OPTIONS": {}}
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
