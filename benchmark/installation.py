"""A temporary installation with production settings: a database with people, and gunicorn on given cores."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from benchmark.errors import BenchmarkError
from benchmark.synthetic_people import Enrolled

START_SECONDS = 120
STOP_SECONDS = 40
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "DATABASE_PASSWORD")


class Service(NamedTuple):
    """A running gunicorn."""

    url: str
    master: int
    """The process id of its main process."""
    ready_seconds: float
    """Time from its start until /ready first reports that the service is ready."""


class Installation:
    """An installation in `folder`. Its database is there as well, unless `database_url` names another one."""

    def __init__(self, folder: Path, *, workers: int, cores: Sequence[int], database_url: str) -> None:
        self._cores = cores
        self._log = folder / "gunicorn.log"
        self._port = _free_port()
        self._environment = {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "ENVIRONMENT": "production",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECURE_SSL_REDIRECT": "false",
            "FACEREC_VAR_DIR": str(folder),
            "FACEREC_MODELS_DIR": str(settings.FACEREC_MODELS_DIR),
            "FACEREC_SAMPLES_DIR": str(settings.FACEREC_SAMPLES_DIR),
            "DATABASE_URL": database_url,
            "LOG_FORMAT": "line",
            "WEB_CONCURRENCY": str(workers),
            "PORT": str(self._port),
        }

    def prepare(self, people: int) -> Enrolled:
        """Create the tables and enrol synthetic people. Raises BenchmarkError if a command fails."""
        _manage(self._environment, "migrate", "--verbosity", "0")
        _manage(self._environment, "collectstatic", "--no-input", "--verbosity", "0")
        # production settings don't have this command
        development = {**self._environment, "ENVIRONMENT": "development"}
        cores = ",".join(map(str, self._cores))
        output = _manage(development, "enrol_synthetic_people", str(people), "--cores", cores)
        return Enrolled(**json.loads(output))

    @contextmanager
    def serving(self) -> Iterator[Service]:
        """Run gunicorn on the installation's cores until the block ends, and this process on the others."""
        available = os.sched_getaffinity(0)
        started = time.perf_counter()
        process = self._start()
        try:
            os.sched_setaffinity(0, available - set(self._cores) or available)
            url = f"http://127.0.0.1:{self._port}"
            self._wait_until_ready(url, process)
            yield Service(url, process.pid, time.perf_counter() - started)
        finally:
            os.sched_setaffinity(0, available)
            _stop(process)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gunicorn", "--config", "python:facerec_site.gunicorn_conf"]
        os.sched_setaffinity(0, self._cores)  # the child process inherits it
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 our own command
                [*command, "facerec_site.wsgi"],
                cwd=settings.BASE_DIR, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    def _wait_until_ready(self, url: str, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=START_SECONDS):  # noqa: S310 our own
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        raise BenchmarkError(f"The service did not start:\n{self._log.read_text()[-2000:]}")


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of manage.py and return its output."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise BenchmarkError((result.stderr or result.stdout).strip())
    return result.stdout


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
