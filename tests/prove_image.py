"""Build the image and run it as ECS does, without a Docker engine: `python -m tests.prove_image`.

Debian's mmdebstrap creates the base image under the name in FROM, and buildah builds the Dockerfile on it.
bubblewrap runs the commands from the image's configuration as its user, on a read-only root with an empty
/tmp: `prepare_database`, the service and the worker, with PostgreSQL and with moto's S3 and SQS. The test
enrols and identifies a face, sends SIGTERM under load, and prints the results. Needs root, and Debian's
buildah, mmdebstrap and bubblewrap.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import requests

from tests import servers
from tests.load import Load
from tests.postgresql import postgresql

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker" / "api" / "Dockerfile"
BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "facerec-api:latest"
TOOLS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "bwrap": "bubblewrap"}
PRODUCT = {"__pycache__", "facerec_site", "manage.py", "models", "people", "var"}
"""Everything that /app may contain in the image: no tests, no benchmark."""
STOP_SECONDS = 60
"""ECS's StopTimeout in copilot/ and deploy/; SIGKILL follows."""


@dataclass
class Store:
    """Buildah's images, in a folder that is kept between runs."""

    folder: Path

    def buildah(self, *arguments: str, **options: Any) -> str:
        folders = ["--root", str(self.folder / "images"), "--runroot", str(self.folder / "run")]
        completed: subprocess.CompletedProcess[str] = subprocess.run(
            ["buildah", *folders, "--storage-driver", "vfs", *arguments],
            check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT, **options,
        )  # fmt: skip
        return completed.stdout.strip()

    def make_base(self) -> None:
        """Create the image named in FROM, from this machine's package sources, unless it already exists."""
        if BASE in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            return
        archive = self.folder / "base.tar"
        sources = [str(path) for path in Path("/etc/apt").glob("sources.list.d/debian*.sources")]
        subprocess.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--include=ca-certificates",
                "bookworm",
                str(archive),
                *sources,
            ],
            check=True,
        )
        container = self.buildah("from", "--pull-never", "scratch")
        self.buildah("add", "--quiet", container, str(archive), "/")
        self.buildah("commit", "--quiet", "--format", "docker", container, BASE)
        self.buildah("rm", container)
        archive.unlink()

    def build(self) -> None:
        with tempfile.TemporaryDirectory(prefix="facerec-pip-") as folder:
            # pip trusts the same certificates as this machine; they don't become part of the image
            settings = Path(folder) / "pip.conf"
            settings.write_text("[global]\ncert = /run/build/ca.crt\n")
            self.buildah(
                "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
                "--volume", "/etc/ssl/certs/ca-certificates.crt:/run/build/ca.crt:ro",
                "--volume", f"{settings}:/etc/pip.conf:ro",
                "--tag", IMAGE, "--file", str(DOCKERFILE), ".",
            )  # fmt: skip
        self.buildah("rmi", "--prune", "--force")  # the previous build

    @contextmanager
    def mounted(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the image's files and its configuration."""
        container = self.buildah("from", "--pull-never", IMAGE)
        try:
            inspected = json.loads(self.buildah("inspect", "--type", "image", IMAGE))
            yield Path(self.buildah("mount", container)), inspected["Docker"]["config"]
        finally:
            self.buildah("rm", container)


@dataclass
class Task:
    """A task as ECS would start it: the image's configuration and a task definition's variables."""

    root: Path
    config: dict[str, Any]
    variables: dict[str, str]
    binds: list[str] = field(default_factory=list)

    def command(self, command: Sequence[str] = ()) -> list[str]:
        user, _, group = self.config["User"].partition(":")
        environment = dict(entry.split("=", 1) for entry in self.config["Env"]) | self.variables
        settings = [part for name, value in environment.items() for part in ("--setenv", name, value)]
        binds = [part for path in self.binds for part in ("--bind", path, path)]
        volumes = [part for path in self.config["Volumes"] for part in ("--tmpfs", path)]
        return [
            "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
            "bwrap", "--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev", *volumes, *binds,
            "--tmpfs", "/dev/shm", "--unshare-user", "--unshare-pid", "--as-pid-1",
            "--die-with-parent", "--clearenv", *settings, "--chdir", self.config["WorkingDir"],
            *self.config["Entrypoint"], *(command or self.config["Cmd"]),
        ]  # fmt: skip

    def run(self, *command: str) -> str:
        completed = subprocess.run(self.command(command), capture_output=True, text=True, check=False)
        if completed.returncode:
            raise SystemExit(
                f"{' '.join(command)} failed with exit code {completed.returncode}:\n"
                f"{completed.stdout}\n{completed.stderr}"
            )
        return completed.stdout

    @contextmanager
    def started(self, log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as file:
            process = subprocess.Popen(self.command(command), stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "facerec-image-store")
    parser.add_argument("--rebuild-base", action="store_true")
    options = parser.parse_args()
    if missing := [package for tool, package in TOOLS.items() if not shutil.which(tool)]:
        print(f"Building the image needs {', '.join(missing)}. Install them with apt-get.")
        return 1
    options.store.mkdir(parents=True, exist_ok=True)
    store = Store(options.store)
    store.make_base()
    started = time.monotonic()
    store.build()
    print(f"built in {time.monotonic() - started:.0f} s")
    problems: list[str] = []
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # silences moto's request log
    with store.mounted() as (root, config), ExitStack() as stack:
        size = int(
            subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout.split()[0]
        )
        print(f"size: {size} MB; user {config['User']}, command {' '.join(config['Cmd'])}")
        unexpected = {path.name for path in (root / "app").iterdir()} - PRODUCT
        problems += [f"/app contains {name}" for name in sorted(unexpected)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facerec-image-")))
        database = stack.enter_context(postgresql())
        address = stack.enter_context(servers.aws())
        task = Task(root, config, _variables(database, address))
        task.binds = parse_qs(urlsplit(database).query)["host"]  # the folder of its socket
        for path in [
            *map(Path, task.binds),
            *(parent for parent in root.parents if parent.is_relative_to(options.store)),
        ]:
            os.chmod(path, 0o755)  # noqa: S103 the image's user needs access
        try:
            _prove(task, folder, problems)
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}")
            raise
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def _variables(database: str, address: str) -> dict[str, str]:
    session = boto3.session.Session("nobody", "nothing", region_name=servers.AWS_REGION)
    servers.make_bucket(session.client("s3", endpoint_url=address), "photos")
    queue = session.client("sqs", endpoint_url=address).create_queue(QueueName="facerec-api-celery")[
        "QueueUrl"
    ]
    return {
        **servers.AWS_ENVIRONMENT,
        "AWS_ENDPOINT_URL": address,
        "PORT": str(servers.free_port()),
        "BIND_ADDRESS": "127.0.0.1",
        "SECRET_KEY": "of-no-account-" * 6,
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "False",
        "DATABASE_URL": database,
        "AWS_STORAGE_BUCKET_NAME": "photos",
        "CELERY_BROKER_URL": "sqs://",
        "SQS_QUEUE_URL": queue,
    }


def _prove(task: Task, folder: Path, problems: list[str]) -> None:
    started = time.monotonic()
    task.run("python", "manage.py", "prepare_database")
    print(f"prepare_database with an empty database: {time.monotonic() - started:.1f} s")
    key = task.run("python", "manage.py", "new_credentials").rpartition("api key: ")[2].strip()
    url = f"http://127.0.0.1:{task.variables['PORT']}"
    started = time.monotonic()
    with task.started(folder / "api.log") as api:
        _wait(lambda: requests.get(f"{url}/health", timeout=1).ok, api)
        print(f"time from start to /health: {time.monotonic() - started:.1f} s")
        _wait(lambda: requests.get(f"{url}/ready", timeout=5).json()["status"] == "ok", api)
        print(f"time from start to /ready: {time.monotonic() - started:.1f} s")
        worker = (
            "celery",
            "--app",
            "facerec_site.celery",
            "worker",
            "--concurrency",
            "1",
            "--loglevel",
            "INFO",
        )
        with task.started(folder / "worker.log", *worker) as celery:
            _identify(url, key, problems)
            _stop(celery, "worker", problems)
        task.run("python", "-m", "facerec_site.container_health")
        task.run("python", "manage.py", "maintain")
        _sigterm_under_load(url, key, api, problems)
    error_lines = [line for line in (folder / "api.log").read_text().splitlines() if '"ERROR"' in line]
    problems += [f"logged an error: {line}" for line in error_lines]


def _identify(url: str, key: str, problems: list[str]) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    people = f"{url}/api/v1/collections/default/persons/"
    for name, file in (("Barack Obama", "obama.jpg"), ("Joe Biden", "biden.jpg")):
        person = session.post(people, json={"name": name}, timeout=30).json()
        photo = session.post(
            f"{people}{person['id']}/photos/",
            files={"photo": (_samples() / file).read_bytes()},
            headers={"Prefer": "wait=50"},
            timeout=60,
        )
        if photo.status_code != 201:
            problems.append(f"enrolling {name} failed: {photo.status_code} {photo.text}")
    response = session.post(
        f"{url}/api/v1/collections/default/identify/",
        files={"photo": (_samples() / "obama3.jpg").read_bytes()},
        timeout=60,
    )
    candidates = response.json()["faces"][0]["candidates"]
    identified_name = candidates[0]["person"]["name"] if candidates else None
    print(f"enrolled 2 people through the worker; identified obama3.jpg as {identified_name}")
    if identified_name != "Barack Obama":
        problems.append(f"identified obama3.jpg as {identified_name}: {response.text}")


def _sigterm_under_load(url: str, key: str, api: subprocess.Popen[bytes], problems: list[str]) -> None:
    """Send SIGTERM under continuous load: every accepted request must get a response."""
    load = Load(
        f"{url}/api/v1/collections/default/identify/",
        {"Authorization": f"Bearer {key}"},
        [(_samples() / "obama2.jpg").read_bytes()] * 8,
    )
    load.start()
    _wait(lambda: len(load.answered) >= 20, api)
    _stop(api, "api", problems)
    load.join()
    print(f"SIGTERM under load of 8 clients: {len(load.answered)} responses, {len(load.broken)} broken")
    problems += [f"broken connection: {error}" for error in load.broken]
    problems += [f"response with status {status}" for status in load.answered if status != 200]


def _samples() -> Path:
    return Path(os.environ.get("FACEREC_SAMPLES_DIR", ROOT / "var" / "samples"))


def _stop(process: subprocess.Popen[bytes], name: str, problems: list[str]) -> None:
    """Send SIGTERM to the container's first process, as ECS does: bubblewrap itself wouldn't forward it."""
    first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    started = time.monotonic()
    os.kill(int(first), signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        problems.append(f"{name} did not stop within {STOP_SECONDS} s of SIGTERM")
        return
    print(f"{name} stopped {time.monotonic() - started:.1f} s after SIGTERM, exit code {code}")


def _wait(condition: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the process exited with {process.returncode} before it was ready")
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise AssertionError("not ready within 60 seconds")


if __name__ == "__main__":
    sys.exit(main())
