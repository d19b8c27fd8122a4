"""Outage or fault: whether the same work may succeed later, unchanged."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError

from people.errors import IndexUnavailable, ModelMissing, StorageUnavailable

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
"""For files that aren't photos, such as uploads in progress. The photo storages translate their errors."""


def is_outage(error: BaseException) -> bool:
    """Return whether nothing is wrong with the work itself: something that it needs is down or full."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in _DISK
    return isinstance(
        error, OperationalError | InterfaceError | IndexUnavailable | StorageUnavailable | ModelMissing
    )
