"""Servers for a single test. Each listens on a free loopback port, and its data is deleted at the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final

import requests

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REDIS = shutil.which("redis-server")
AWS_REGION: Final = "eu-central-1"  # not boto3's default


def free_port() -> int:
    """Return a loopback port that is not in use.

    The caller binds it only later. So it is outside the range from which the kernel picks clients' ports, and
    each worker of pytest-xdist picks from its own share.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(10_000 + worker, 32_768, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    while True:
        port = random.choice(ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Redis:
    port: int
    folder: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert REDIS is not None
        self.process = subprocess.Popen(
            [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", self.folder],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis_server() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="facerec-redis-") as folder:
        server = Redis(free_port(), folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def hung_server() -> Iterator[int]:
    """Yield a port that accepts connections and never responds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@contextmanager
def aws() -> Iterator[str]:
    """Run moto's server, which simulates S3, SQS and KMS over HTTP. Yields its address."""
    # imported only by the tests that need it, because the import takes a second
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@dataclass
class Role:
    """A task role of ECS: its credentials are available over HTTP at `address`."""

    address: str
    asked: list[str | None] = field(default_factory=list)
    """The Authorization header of each request received."""

    ACCESS_KEY = "ASIAOFTHEROLE"
    TOKEN = "token-of-the-role"


@contextmanager
def role_server() -> Iterator[Role]:
    """Serve the credentials of a task role, as ECS does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            role.asked.append(self.headers.get("Authorization"))
            content = json.dumps(
                {"AccessKeyId": Role.ACCESS_KEY, "SecretAccessKey": "of-no-account", "Token": Role.TOKEN,
                 "Expiration": "2099-01-01T00:00:00Z", "RoleArn": "arn:aws:iam::1:role/task"}
            ).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        role = Role(f"http://127.0.0.1:{server.server_port}/role")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield role
        finally:
            server.shutdown()
            thread.join()


def forget_aws(address: str) -> None:
    """Delete everything in moto's server."""
    requests.post(f"{address}/moto-api/reset", timeout=10).raise_for_status()


def make_bucket(client: S3Client, name: str) -> None:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": AWS_REGION})


AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_REGION": AWS_REGION,
    "AWS_DEFAULT_REGION": AWS_REGION,
}
