"""Distinguish outages, after which the same work may succeed unchanged, from faults."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError

from people.errors import IndexUnavailable, ModelMissing, StorageUnavailable

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
"""For files that aren't photos, such as uploads in progress. The photo storages translate their errors."""


def is_outage(error: BaseException) -> bool:
    """Return whether something that the work needs is down or full, rather than the work being at fault."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in _DISK
    return isinstance(
        error, OperationalError | InterfaceError | IndexUnavailable | StorageUnavailable | ModelMissing
    )
