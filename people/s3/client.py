"""Configure S3 clients and translate the SDK's errors.

boto3 is installed only where S3 is used, so it is imported when it is first needed.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from people.errors import StorageUnavailable

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)
NO_SUCH_OBJECT = frozenset({"404", "NoSuchKey"})
"""S3's error codes. The response to HEAD has no body, so its code is the HTTP status."""


@cache
def configuration() -> Config:
    """Return the configuration of every client.

    The timeouts, in seconds, apply to each step of a request: they are short because an API request may be
    waiting for the storage.
    """
    from botocore.config import Config

    return Config(
        connect_timeout=3,
        read_timeout=10,
        retries={"mode": "standard", "max_attempts": 3},
        signature_version="s3v4",  # for signed URLs too, because KMS accepts no other version
    )


def new_client() -> S3Client:
    """Return a client with credentials from the environment or from the task's role."""
    import boto3

    return boto3.session.Session().client("s3", region_name=settings.AWS_REGION, config=configuration())


@contextmanager
def translated(refusal: Exception | None = None, codes: Container[str] = NO_SUCH_OBJECT) -> Iterator[None]:
    """Raise StorageUnavailable for any error of the SDK, or `refusal` if S3's error code is in `codes`.

    A denied permission also raises StorageUnavailable: the photo isn't at fault, so it waits until an
    operator restores the permission. An object's bytes must be read inside the block.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if refusal is not None and code in codes:
            raise refusal from error
        logger.warning("S3 refused a request: %s", code)
        raise StorageUnavailable from error
    except (BotoCoreError, Boto3Error, HTTPError) as error:
        # an object's body is read through urllib3, which the SDK doesn't always translate
        logger.warning("S3 can't be used: %s", type(error).__name__)
        raise StorageUnavailable from error
