"""Whether an error says that something else is away, so that the same work may succeed later."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError

from people.errors import IndexUnavailable, StorageUnavailable

_STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
"""A disk that is full, broken or read-only, and a folder whose permissions are wrong."""


def is_outage(error: BaseException) -> bool:
    """Return whether nothing is wrong with the work itself: database, storage or index are away or full."""
    if isinstance(
        error,
        OperationalError
        | InterfaceError
        | IndexUnavailable
        | StorageUnavailable
        | ConnectionError
        | TimeoutError,
    ):
        return True
    if isinstance(error, OSError):
        return error.errno in _STORAGE
    return _is_storage_outage(error)


def _is_storage_outage(error: BaseException) -> bool:
    # by name: botocore is there only where S3 is used
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"HTTPClientError", "ConnectionError", "NoCredentialsError", "CredentialRetrievalError"}:
        return True
    if "ClientError" not in kinds:
        return False
    answer = getattr(error, "response", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return bool(status >= 500 or status == 429)
