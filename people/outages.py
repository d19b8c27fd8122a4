"""Distinguish outages, after which the same work may succeed unchanged, from faults of the work itself."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError

from people.errors import IndexUnavailable, ModelMissing, StorageUnavailable

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
"""Full or failing disks. For files that aren't photos, such as uploads in progress: the photo storages
translate their own errors."""


def is_outage(error: BaseException) -> bool:
    """Return whether the error means that a resource is down or full, not that the work is at fault."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in _DISK
    return isinstance(
        error, OperationalError | InterfaceError | IndexUnavailable | StorageUnavailable | ModelMissing
    )
