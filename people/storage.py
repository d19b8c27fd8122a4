"""Where photos lie when they lie in S3: a private bucket, encrypted, read through signed URLs only."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

SIGNED_URL_SECONDS = 300


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
            signature_version="s3v4",
            object_parameters={**encryption, "CacheControl": "no-store"},
            client_config=Config(
                connect_timeout=3,
                read_timeout=10,
                retries={"mode": "standard", "max_attempts": 3},
                signature_version="s3v4",
            ),
            **options,
        )

    def signed_url(self, name: str) -> str:
        """Return where the file can be read for SIGNED_URL_SECONDS, by whoever holds the address."""
        return str(self.url(name))

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
