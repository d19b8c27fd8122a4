"""S3 on this machine: moto's server, spoken to by the real boto3. `tests.conftest` makes them fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests

from people import buckets

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of a server that speaks AWS."""
    # loaded for those tests only that ask for it: it takes a second
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[S3Client]:
    """A client of an S3 with the bucket `inbox`, which photos and imports may be read from."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-no-account")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-account")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    settings.FACEREC_S3_INPUT_BUCKETS = ["inbox"]
    buckets._client.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="inbox")
    yield client
    client.close()
    buckets._client.cache_clear()
    requests.post(f"{moto}/moto-api/reset", timeout=10)
