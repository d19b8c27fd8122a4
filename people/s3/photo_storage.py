"""Photo storage in S3: a private, encrypted bucket. Clients can read photos only through signed URLs.

Methods translate the SDK's errors to FileNotFoundError or StorageUnavailable.
"""

from __future__ import annotations

import io
import os
from contextlib import closing
from typing import IO, Any

from django.core.files.base import File
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from people.s3.client import configuration, translated

SIGNED_URL_SECONDS = 300
PART_BYTES = 4_000_000
"""Bytes fetched per request from a file that is read in parts: enough for most photos, or for the directory
of a large archive."""


class S3PhotoStorage(S3Storage):  # type: ignore[misc]
    """A private bucket. If the bucket keeps versions, deleting a file deletes all of its versions."""

    def __init__(self, *, kms_key: str = "", **options: Any) -> None:
        encryption: dict[str, str] = {"ServerSideEncryption": "AES256"}
        if kms_key:
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        super().__init__(
            default_acl=None,  # the bucket's owner owns every object, and ACLs are off
            querystring_auth=True,
            querystring_expire=SIGNED_URL_SECONDS,
            file_overwrite=True,  # names contain a new UUID, so there's no need to check for an existing file
            object_parameters={**encryption, "CacheControl": "no-store"},
            client_config=configuration(),
            **options,
        )

    def check(self) -> None:
        """Raise StorageUnavailable unless the bucket responds. Stores nothing."""
        try:
            with translated(PermissionError(self.bucket_name), codes={"AccessDenied"}):
                self.connection.meta.client.list_objects_v2(Bucket=self.bucket_name, MaxKeys=1)
        except PermissionError:
            pass  # the service doesn't need permission to list objects

    def signed_url(self, name: str) -> str:
        """Return a URL that gives anyone who has it read access to the file for SIGNED_URL_SECONDS."""
        with translated():
            return str(self.url(name))

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        """Return the file for reading. Bytes are fetched when they are read: a whole file in one request."""
        if mode != "rb":
            raise ValueError("Files in S3 can only be opened for reading. Use `save` to write one.")
        return File(self.open_in_parts(name), name)

    def open_in_parts(self, name: str) -> IO[bytes]:
        """Return a large file for random access, of which only the parts that are read are fetched."""
        with translated():
            client = self.connection.meta.client
        return io.BufferedReader(_Object(client, self.bucket_name, clean_name(name)), PART_BYTES)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        with translated():
            return str(super().save(name, content, max_length))

    def exists(self, name: str) -> bool:
        with translated():
            return bool(super().exists(name))

    def delete(self, name: str) -> None:
        """Delete every version of the file, and every delete marker."""
        key = clean_name(name)
        try:
            with translated(PermissionError(key), codes={"AccessDenied"}):
                versions = self._versions(key)
        except PermissionError:
            # if the role may not list versions, the bucket is assumed not to keep any
            with translated():
                super().delete(key)
            return
        with translated():
            for version in versions:
                self.connection.meta.client.delete_object(Bucket=self.bucket_name, Key=key, VersionId=version)

    def _versions(self, key: str) -> list[str]:
        pages = self.connection.meta.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket_name, Prefix=key
        )
        return [
            version["VersionId"]
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for version in page.get(kind, ())
            if version["Key"] == key
        ]


class _Object(io.RawIOBase):
    """An object's bytes, fetched with range requests. Each sends the ETag, so a changed object isn't read."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        with self._translated():
            head = client.head_object(Bucket=bucket, Key=key)
        self._size, self._etag, self._position = int(head["ContentLength"]), head["ETag"], 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._fetch(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._fetch(self._size)

    def _fetch(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit`; empty at the end."""
        end = min(self._position + limit, self._size)
        if end <= self._position:
            return b""
        with self._translated():
            response = self._client.get_object(
                Bucket=self._bucket, Key=self._key, IfMatch=self._etag,
                Range=f"bytes={self._position}-{end - 1}",
            )  # fmt: skip
            with closing(response["Body"]) as body:
                data: bytes = body.read()
        self._position += len(data)
        return data

    def _translated(self) -> Any:
        return translated(FileNotFoundError(self._key))
