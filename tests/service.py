"""The whole service as real processes: gunicorn, a Celery worker and a database, in one folder."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    folder: Path
    password: str
    key: str
    database: str
    """DATABASE_URL, or an empty string for the SQLite file in the folder."""
    variables: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start `web` or `worker`. A previous process of that name is killed, with its children."""
        self.kill(name)
        binaries = Path(sys.executable).parent
        commands = {
            "web": [binaries / "gunicorn", "--config", "facerec_site/gunicorn_conf.py", "facerec_site.wsgi"],
            "worker": [
                binaries / "celery", "--app", "facerec_site.celery", "worker",
                "--concurrency", "1", "--loglevel", "WARNING",
            ],
        }  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in commands[name]],
                cwd=ROOT,
                env=self.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def supervise(self) -> None:
        """Restart processes that have exited, as a container platform does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        """Kill a process and its children, as a power cut would."""
        if process := self.processes.pop(name, None):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / "web.log").read_text()[-3000:])

    def wait_until_done(self, seconds: float) -> int:
        """Wait until the outbox is empty, at most `seconds`; return the number of pending entries."""
        # a file is purged ten minutes after it was written if its row was never saved; make this due now
        self.sql(
            "UPDATE people_outboxentry SET due_at = created_at WHERE topic = 'purge_file' AND done_at IS NULL"
        )
        deadline = time.monotonic() + seconds
        while True:
            self.supervise()
            pending = int(self.sql("SELECT count(*) FROM people_outboxentry WHERE done_at IS NULL")[0][0])
            if not pending or time.monotonic() > deadline:
                return pending
            time.sleep(0.5)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement directly on the service's database."""
        if self.database:
            with psycopg.connect(_for_psycopg(self.database), autocommit=True) as connection:
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []
        with closing(sqlite3.connect(self.folder / "facerec.sqlite3", timeout=20)) as file, file:
            return file.execute(statement).fetchall()

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document as served."""
        response = requests.get(f"{self.url}/api/schema/", {"format": "json"}, timeout=30)
        response.raise_for_status()
        document: dict[str, Any] = response.json()
        return document

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def running(
    folder: Path, names: tuple[str, ...] = ("web", "worker"), /, **environment: str
) -> Iterator[Service]:
    """Start web and worker processes, wait until they are ready, and stop them at the end.

    The web process has two gunicorn workers. `environment` is added to the processes' variables.
    """
    port = free_port()
    database = environment.get("DATABASE_URL", _new_database(os.environ.get("DATABASE_URL", "")))
    variables = {
        **os.environ,
        "ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "tests.settings_processes",
        "FACEREC_VAR_DIR": str(folder),
        "TMPDIR": str(folder / "tmp"),  # so that files of killed processes are deleted with the folder
        "FACEREC_MODELS_DIR": os.environ.get("FACEREC_MODELS_DIR", str(ROOT / "var" / "models")),
        "FACEREC_SAMPLES_DIR": os.environ.get("FACEREC_SAMPLES_DIR", str(ROOT / "var" / "samples")),
        "PORT": str(port),
        "DATABASE_URL": database,
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=variables, check=True)
    new_credentials = subprocess.run(
        [*manage, "new_credentials"], cwd=ROOT, env=variables, check=True, capture_output=True, text=True
    )
    credentials = dict(line.split(": ", 1) for line in new_credentials.stdout.splitlines() if ": " in line)
    url = f"http://127.0.0.1:{port}"
    service = Service(url, folder, credentials["admin password"], credentials["api key"], database, variables)
    try:
        for name in names:
            service.start(name)
        service.wait_until_ready()
        yield service
    finally:
        for process in service.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in service.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _new_database(url: str) -> str:
    """Create a database on the server of `url`, so that services don't share one, and return its URL.

    Returns an empty string if `url` is empty, for SQLite.
    """
    if not url:
        return ""
    name = f"service_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_for_psycopg(url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _for_psycopg(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)
