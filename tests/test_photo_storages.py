"""Both photo storages, a folder and S3, raise only two kinds of error.

FileNotFoundError means that the file doesn't exist; StorageUnavailable that the storage can't be used now.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.retries import standard
from botocore.utils import ContainerMetadataFetcher
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from people.errors import StorageUnavailable
from people.outages import is_outage
from people.photo_folder import PhotoFolder
from people.s3 import input_buckets
from people.s3.photo_storage import S3PhotoStorage
from tests.servers import AWS_ENVIRONMENT, free_port

NAME = "collection/photo.jpg"
Operation = Callable[[Any], object]


def _read(storage: Any) -> bytes:
    with storage.open(NAME) as file:
        return bytes(file.read())


def _read_a_part(storage: Any) -> bytes:
    with storage.open_in_parts(NAME) as file:
        return bytes(file.read(3))


READING: dict[str, Operation] = {"open": _read, "open in parts": _read_a_part}
OPERATIONS: dict[str, Operation] = {
    **READING,
    "save": lambda storage: storage.save(NAME, ContentFile(b"photo")),
    "exists": lambda storage: storage.exists(NAME),
    "delete": lambda storage: storage.delete(NAME),
}
IN_A_FOLDER = [name for name in OPERATIONS if name != "open in parts"]


def _assert_outage(operation: Operation, storage: Any) -> None:
    with pytest.raises(StorageUnavailable) as caught:
        operation(storage)
    assert is_outage(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> PhotoFolder:
    return PhotoFolder(location=tmp_path / "photos", file_permissions_mode=0o600)


@pytest.mark.parametrize("name", IN_A_FOLDER)
@pytest.mark.parametrize("code", ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "ESTALE", "EMFILE"])
def test_an_unusable_folder_is_an_outage(
    name: str, code: str, folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(getattr(errno, code), code, NAME)

    for method in ("_open", "_save"):
        monkeypatch.setattr(FileSystemStorage, method, fail)
    for function in ("lstat", "remove"):
        monkeypatch.setattr(os, function, fail)
    _assert_outage(OPERATIONS[name], folder)


@pytest.mark.parametrize("name", IN_A_FOLDER)
def test_a_file_in_place_of_the_folder_is_an_outage(name: str, folder: PhotoFolder, tmp_path: Path) -> None:
    (tmp_path / "photos").touch()
    _assert_outage(OPERATIONS[name], folder)


def test_a_missing_file_in_a_folder_is_reported_as_missing(folder: PhotoFolder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.open(NAME)
    assert not folder.exists(NAME)
    folder.delete(NAME)
    assert folder.save(NAME, ContentFile(b"photo")) == NAME
    assert folder.exists(NAME)
    assert _read(folder) == b"photo"


@contextmanager
def _responding(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Run an HTTP server that gives the same response to every request. Yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", respond)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _error(status: int, code: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a function that responds with an error as S3 does."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Connection", "close")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
        request.close_connection = True

    return respond


def _truncated(request: BaseHTTPRequestHandler) -> None:
    """Announce a hundred bytes but send only ten."""
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.send_header("ETag", '"1"')
    request.send_header("Connection", "close")
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(bytes(10))
    request.close_connection = True


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3PhotoStorage]:
    """A bucket at AWS_ENDPOINT_URL_S3, which tests set. The SDK retries without pauses."""
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0)
    input_buckets._client.cache_clear()
    yield S3PhotoStorage(bucket_name="photos", region_name="eu-central-1")
    input_buckets._client.cache_clear()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ExpiredToken"),
        (403, "AccessDenied"),
        (403, "InvalidAccessKeyId"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ],
)
def test_an_error_response_of_a_bucket_is_an_outage(
    name: str, status: int, code: str, bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _responding(_error(status, code)) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        _assert_outage(OPERATIONS[name], bucket)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unreachable_bucket_is_an_outage(
    name: str, bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    _assert_outage(OPERATIONS[name], bucket)


@pytest.mark.parametrize("name", ["save", "delete"])
def test_a_missing_bucket_is_an_outage(
    name: str, bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _responding(_error(404, "NoSuchBucket")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        _assert_outage(OPERATIONS[name], bucket)


@pytest.mark.parametrize("name", [*OPERATIONS, "signed URL"])
def test_a_role_without_credentials_is_an_outage(
    name: str, bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    storage = S3PhotoStorage(bucket_name="photos", region_name="eu-central-1")
    _assert_outage({**OPERATIONS, "signed URL": lambda storage: storage.signed_url(NAME)}[name], storage)


@pytest.mark.parametrize("name", READING)
def test_an_interrupted_read_of_a_file_is_an_outage(
    name: str, bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _responding(_truncated) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        _assert_outage(READING[name], bucket)


def test_an_interrupted_read_from_an_input_bucket_is_an_outage(
    bucket: S3PhotoStorage, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FACEREC_S3_INPUT_BUCKETS = ["inbox"]
    with _responding(_truncated) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        _assert_outage(lambda _: input_buckets.read("inbox", "1.jpg"), bucket)


def test_a_file_deleted_between_opening_and_reading_is_not_found(
    bucket: S3PhotoStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(request: BaseHTTPRequestHandler) -> None:
        (_truncated if request.command == "HEAD" else _error(404, "NoSuchKey"))(request)

    with _responding(respond) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        with bucket.open(NAME) as file, pytest.raises(FileNotFoundError):
            file.read()
