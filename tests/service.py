"""The whole service as real processes, in a folder of its own: gunicorn, Celery worker, one database."""

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
    """DATABASE_URL; empty for the SQLite file in the folder."""
    variables: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start `web` or `worker`; what is left of the one before is killed."""
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
        """Restart processes that ended by themselves, as a container platform does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        """End a process and its children as a power cut would."""
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
        """Wait until the outbox has nothing left to do; return how much it still has."""
        # what was written for a row that never came is removed ten minutes later: see it now
        self.sql(
            "UPDATE people_outboxentry SET due_at = created_at WHERE topic = 'purge_file' AND done_at IS NULL"
        )
        deadline = time.monotonic() + seconds
        while True:
            self.supervise()
            left = int(self.sql("SELECT count(*) FROM people_outboxentry WHERE done_at IS NULL")[0][0])
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on the service's database, round the service."""
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
    """Start web (two workers) and worker processes, wait until they answer, and stop them at the end."""
    port = free_port()
    database = environment.get("DATABASE_URL", _own_database(os.environ.get("DATABASE_URL", "")))
    variables = {
        **os.environ,
        "ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "tests.settings_processes",
        "FACEREC_VAR_DIR": str(folder),
        "TMPDIR": str(folder / "tmp"),  # what a killed process leaves goes with the folder
        "FACEREC_MODELS_DIR": os.environ.get("FACEREC_MODELS_DIR", str(ROOT / "var" / "models")),
        "FACEREC_SAMPLES_DIR": os.environ.get("FACEREC_SAMPLES_DIR", str(ROOT / "var" / "samples")),
        "PORT": str(port),
        "DATABASE_URL": database,
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    run = [sys.executable, "manage.py"]
    subprocess.run([*run, "migrate", "--verbosity", "0"], cwd=ROOT, env=variables, check=True)
    made = subprocess.run(
        [*run, "new_credentials"], cwd=ROOT, env=variables, check=True, capture_output=True, text=True
    )
    lines = dict(line.split(": ", 1) for line in made.stdout.splitlines() if ": " in line)
    url = f"http://127.0.0.1:{port}"
    service = Service(url, folder, lines["admin password"], lines["api key"], database, variables)
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


def _own_database(url: str) -> str:
    """Create a database next to that of `url`, so that services don't meet; nothing for SQLite."""
    if not url:
        return ""
    name = f"service_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_for_psycopg(url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _for_psycopg(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)
