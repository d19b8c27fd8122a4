"""Where photos lie when they lie in S3: a private bucket, encrypted, read through signed URLs only."""

from __future__ import annotations

import io
import os
from typing import IO, Any

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from people.s3.client import CLIENT

SIGNED_URL_SECONDS = 300
PART_BYTES = 4_000_000
"""Fetched at once of a file that is read in parts: most photos, or the list of a large archive."""


class S3PhotoStorage(S3Storage):  # type: ignore[misc]
    """A private bucket. A deleted file is gone with all its versions, also where the bucket keeps them."""

    def __init__(self, *, kms_key: str = "", **options: Any) -> None:
        encryption: dict[str, str] = {"ServerSideEncryption": "AES256"}
        if kms_key:
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        super().__init__(
            default_acl=None,  # the bucket's owner owns, ACLs are off
            querystring_auth=True,
            querystring_expire=SIGNED_URL_SECONDS,
            file_overwrite=True,  # every name holds a new UUID: no need to ask whether it is taken
            object_parameters={**encryption, "CacheControl": "no-store"},
            client_config=CLIENT,
            **options,
        )

    def signed_url(self, name: str) -> str:
        """Return where the file can be read for SIGNED_URL_SECONDS, by whoever holds the address."""
        return str(self.url(name))

    def open_in_parts(self, name: str) -> IO[bytes]:
        """Return a large file to read here and there; only what is read is fetched.

        Raises FileNotFoundError.
        """
        return io.BufferedReader(
            _Parts(self.connection.meta.client, self.bucket_name, clean_name(name)), PART_BYTES
        )

    def delete(self, name: str) -> None:
        """Delete every version of the file, and every marker that says it was deleted."""
        key = clean_name(name)
        client = self.connection.meta.client
        try:
            pages = client.get_paginator("list_object_versions").paginate(Bucket=self.bucket_name, Prefix=key)
            versions = [
                version["VersionId"]
                for page in pages
                for kind in ("Versions", "DeleteMarkers")
                for version in page.get(kind, ())
                if version["Key"] == key
            ]
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            super().delete(key)  # a role that may not list has a bucket without versions
            return
        for version in versions:
            client.delete_object(Bucket=self.bucket_name, Key=key, VersionId=version)


class _Parts(io.RawIOBase):
    """An object's bytes by ranged requests. It must not change meanwhile: its ETag is asked for."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        try:
            head = client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise FileNotFoundError(key) from error
            raise
        self._size, self._etag, self._at = int(head["ContentLength"]), head["ETag"], 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        answer = self._client.get_object(
            Bucket=self._bucket, Key=self._key, IfMatch=self._etag, Range=f"bytes={self._at}-{end - 1}"
        )
        with answer["Body"] as body:
            data = body.read()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
