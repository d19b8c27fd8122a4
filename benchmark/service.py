"""The service as it is deployed, with one photo sent to it: gunicorn, a database full of people, HTTP."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmark.load import Client
from benchmark.synthetic import COLLECTION
from benchmark.timing import milliseconds

START_SECONDS = 120
STOP_SECONDS = 40
WARM_UP_SECONDS = 3.0
CLIENTS_A_WORKER = 4
SHARE_OF_CAPACITY = 0.7
CROWD = 64
"""Connections: more than all threads of a worker, and more than it lets wait."""
KEY_LINE = "api key: "
LOADED_LINE = "seconds to read the templates: "

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Setting:
    """How the service is run."""

    people: int
    workers: int
    cores: Sequence[int]
    """The service's; the client takes the others, where there are any."""
    seconds: float
    """At a steady rate of SHARE_OF_CAPACITY."""
    database: str = ""
    """postgres://…, an empty one; without it SQLite in a scratch folder."""


def measure(setting: Setting, photo: bytes, tell: Tell) -> dict[str, Any]:
    """Return the figures of the service, alone, at its limit, at 70 % of it for a while and overloaded.

    `http` holds them, `worker` those of its largest process. Raises RuntimeError when it doesn't start.
    """
    with tempfile.TemporaryDirectory(prefix="facerec-benchmark-") as folder:
        environment = _environment(Path(folder), setting)
        tell(f"Enrolling {setting.people:,} people who don't exist …")
        key, loaded = _filled(setting, environment)
        with _serving(setting, environment) as (url, process, ready):
            client = Client(f"{url}/api/v1/collections/{COLLECTION}/identify/", key, photo)
            figures = _figures(client, setting, process.pid, tell)
        figures["http"] |= {"ready_s": ready, "load_s": loaded}
        return figures


def _figures(client: Client, setting: Setting, master: int, tell: Tell) -> dict[str, Any]:
    clients = CLIENTS_A_WORKER * setting.workers
    client.send(clients, WARM_UP_SECONDS)
    alone = client.send(1, WARM_UP_SECONDS)
    full = client.send(clients, 2 * WARM_UP_SECONDS)
    rate = SHARE_OF_CAPACITY * full.per_second
    client.send(CROWD, WARM_UP_SECONDS)  # once all threads have worked, they have the memory they need
    before = _memory(master)
    tell(f"{rate:.1f} requests a second for {setting.seconds:.0f} seconds …")
    steady = client.send(CROWD, setting.seconds, rate)
    after = _memory(master)
    overloaded = client.send(CROWD, 2 * WARM_UP_SECONDS)
    http = {
        "people": setting.people,
        "workers": setting.workers,
        "cores": list(setting.cores),
        "requests_per_second": full.per_second,
        "alone": {**milliseconds(alone.seconds), "per_second": alone.per_second},
        "full": milliseconds(full.seconds),
        **milliseconds(steady.seconds),
        "rate": rate,
        "seconds": setting.seconds,
        "refused": sum(steady.statuses.values()) - steady.statuses[200],
        "overload": {
            "clients": CROWD,
            "requests_per_second": overloaded.per_second,
            "statuses": {str(status): number for status, number in overloaded.statuses.items()},
            **milliseconds(overloaded.seconds),
        },
    }
    return {"http": http, "worker": {**after, "growth": after["rss_mb"] / before["rss_mb"] - 1}}


def _environment(folder: Path, setting: Setting) -> dict[str, str]:
    """Return the environment of a small production installation in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {
        **kept,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "FACEREC_VAR_DIR": str(folder),
        "FACEREC_MODELS_DIR": str(settings.FACEREC_MODELS_DIR),
        "FACEREC_SAMPLES_DIR": str(settings.FACEREC_SAMPLES_DIR),
        "DATABASE_URL": setting.database,
        "LOG_FORMAT": "line",
        "WEB_CONCURRENCY": str(setting.workers),
        "PORT": str(_free_port()),
    }


def _filled(setting: Setting, environment: Mapping[str, str]) -> tuple[str, float]:
    """Fill a new database with people; return an API key, and the seconds that reading templates takes."""
    _manage(environment, "migrate", "--verbosity", "0")
    _manage(environment, "collectstatic", "--no-input", "--verbosity", "0")
    cores = ",".join(map(str, setting.cores))
    development = {**environment, "ENVIRONMENT": "development"}  # production doesn't have this command
    lines = _manage(development, "benchmark", "--fill", str(setting.people), "--cores", cores).splitlines()
    key, loaded = (
        next(line.removeprefix(start) for line in lines if line.startswith(start))
        for start in (KEY_LINE, LOADED_LINE)
    )
    return key, float(loaded)


def _manage(environment: Mapping[str, str], *words: str) -> str:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip())
    return done.stdout


@contextmanager
def _serving(
    setting: Setting, environment: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """Run gunicorn on the setting's cores; yield its address, its process, and seconds to ready."""
    command = [sys.executable, "-m", "gunicorn", "--config", "python:facerec_site.gunicorn_conf"]
    others = os.sched_getaffinity(0)
    log = Path(environment["FACEREC_VAR_DIR"]) / "gunicorn.log"
    began = time.perf_counter()
    with log.open("wb") as output:
        os.sched_setaffinity(0, setting.cores)  # its child inherits it
        process = subprocess.Popen(  # noqa: S603
            [*command, "facerec_site.wsgi"],
            cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output,
        )  # fmt: skip
        os.sched_setaffinity(0, others - set(setting.cores) or others)
    try:
        url = f"http://127.0.0.1:{environment['PORT']}"
        _wait(url, process, log)
        yield url, process, time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, others)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=START_SECONDS):  # noqa: S310 our own
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise RuntimeError(f"The service did not start:\n{log.read_text()[-2000:]}")


def _memory(master: int) -> dict[str, float]:
    """Return the largest worker's megabytes: what it holds, and what of that no other process shares."""
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    found = []
    for worker in workers:
        lines = Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()[1:]
        kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        found.append({"rss_mb": kilobytes["Rss"] / 1024, "private_mb": private / 1024})
    return max(found, key=lambda one: one["private_mb"])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
