"""The image, built and run without a Docker engine, as ECS runs it: `python -m tests.prove_image`.

Debian's mmdebstrap makes the base under the name that FROM uses, buildah builds the Dockerfile on it, and
bubblewrap runs what the image's configuration says, as its user, on a read-only root with an empty /tmp:
`prepare_database`, the service and the worker, on PostgreSQL and on moto's S3 and SQS. A face is enrolled
and identified, load meets SIGTERM, and what came of it is printed. Needs root, and Debian's buildah,
mmdebstrap and bubblewrap.
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
"""All that the image contains in /app: no tests, no benchmark."""
STOP_SECONDS = 60
"""ECS's StopTimeout in copilot/ and deploy/: after it comes SIGKILL."""


@dataclass
class Store:
    """Buildah's images, in a folder that is kept from run to run."""

    folder: Path

    def buildah(self, *arguments: str, **options: Any) -> str:
        folders = ["--root", str(self.folder / "images"), "--runroot", str(self.folder / "run")]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["buildah", *folders, "--storage-driver", "vfs", *arguments],
            check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT, **options,
        )  # fmt: skip
        return done.stdout.strip()

    def make_base(self) -> None:
        """Make the image that FROM names, of the packages that this machine gets, unless it is there."""
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
            # pip trusts whom this machine trusts, and no trace of it stays in the image
            settings = Path(folder) / "pip.conf"
            settings.write_text("[global]\ncert = /run/build/ca.crt\n")
            self.buildah(
                "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
                "--volume", "/etc/ssl/certs/ca-certificates.crt:/run/build/ca.crt:ro",
                "--volume", f"{settings}:/etc/pip.conf:ro",
                "--tag", IMAGE, "--file", str(DOCKERFILE), ".",
            )  # fmt: skip
        self.buildah("rmi", "--prune", "--force")  # the build before this one

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
    """What ECS would start: the image's configuration, with a task definition's variables."""

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
        done = subprocess.run(self.command(command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

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
        print(f"The image can't be built here without {', '.join(missing)}: apt-get install them.")
        return 1
    options.store.mkdir(parents=True, exist_ok=True)
    store = Store(options.store)
    store.make_base()
    began = time.monotonic()
    store.build()
    print(f"built in {time.monotonic() - began:.0f} s")
    problems: list[str] = []
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's requests
    with store.mounted() as (root, config), ExitStack() as stack:
        size = int(
            subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout.split()[0]
        )
        print(f"size: {size} MB of files; user {config['User']}, command {' '.join(config['Cmd'])}")
        unexpected = {path.name for path in (root / "app").iterdir()} - PRODUCT
        problems += [f"/app contains {name}" for name in sorted(unexpected)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facerec-image-")))
        database = stack.enter_context(postgresql())
        address = stack.enter_context(servers.aws())
        task = Task(root, config, _variables(database, address))
        task.binds = parse_qs(urlsplit(database).query)["host"]  # of its socket
        for path in [
            *map(Path, task.binds),
            *(parent for parent in root.parents if parent.is_relative_to(options.store)),
        ]:
            os.chmod(path, 0o755)  # noqa: S103 the image's user must get there
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
    began = time.monotonic()
    task.run("python", "manage.py", "prepare_database")
    print(f"prepare_database on an empty database: {time.monotonic() - began:.1f} s")
    key = task.run("python", "manage.py", "new_credentials").rpartition("api key: ")[2].strip()
    url = f"http://127.0.0.1:{task.variables['PORT']}"
    began = time.monotonic()
    with task.started(folder / "api.log") as api:
        _wait(lambda: requests.get(f"{url}/health", timeout=1).ok, api)
        print(f"start to /health: {time.monotonic() - began:.1f} s")
        _wait(lambda: requests.get(f"{url}/ready", timeout=5).json()["status"] == "ok", api)
        print(f"start to /ready: {time.monotonic() - began:.1f} s")
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
    left = [line for line in (folder / "api.log").read_text().splitlines() if '"ERROR"' in line]
    problems += [f"logged: {line}" for line in left]


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
            problems.append(f"enrolling {name}: {photo.status_code} {photo.text}")
    answer = session.post(
        f"{url}/api/v1/collections/default/identify/",
        files={"photo": (_samples() / "obama3.jpg").read_bytes()},
        timeout=60,
    )
    candidates = answer.json()["faces"][0]["candidates"]
    found = candidates[0]["person"]["name"] if candidates else None
    print(f"enrolled 2 people through the worker; obama3.jpg is {found}")
    if found != "Barack Obama":
        problems.append(f"identified {found}: {answer.text}")


def _sigterm_under_load(url: str, key: str, api: subprocess.Popen[bytes], problems: list[str]) -> None:
    """Send requests without end, then SIGTERM: what was taken must be answered."""
    load = Load(
        f"{url}/api/v1/collections/default/identify/",
        {"Authorization": f"Bearer {key}"},
        [(_samples() / "obama2.jpg").read_bytes()] * 8,
    )
    load.start()
    _wait(lambda: len(load.answered) >= 20, api)
    _stop(api, "api", problems)
    load.join()
    print(f"SIGTERM under load of 8 clients: {len(load.answered)} answered, {len(load.broken)} broken off")
    problems += [f"broken off: {error}" for error in load.broken]
    problems += [f"answered {status}" for status in load.answered if status != 200]


def _samples() -> Path:
    return Path(os.environ.get("FACEREC_SAMPLES_DIR", ROOT / "var" / "samples"))


def _stop(process: subprocess.Popen[bytes], name: str, problems: list[str]) -> None:
    """Send SIGTERM to the container's first process, as ECS does; bubblewrap itself would not pass it on."""
    first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    began = time.monotonic()
    os.kill(int(first), signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        problems.append(f"{name} did not end within {STOP_SECONDS} s of SIGTERM")
        return
    print(f"{name} ended {time.monotonic() - began:.1f} s after SIGTERM, exit code {code}")


def _wait(condition: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode} before it was ready")
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise AssertionError("not within 60 seconds")


if __name__ == "__main__":
    sys.exit(main())
