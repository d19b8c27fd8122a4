"""Which errors are outages, so that work waits for them, and which are faults of the work."""

from __future__ import annotations

import errno

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError

from people import errors
from people.outages import is_outage

OUTAGES = [
    OperationalError("the server closed the connection"),
    InterfaceError("connection already closed"),
    errors.IndexUnavailable(),
    errors.StorageUnavailable(),
    errors.ModelMissing(),
    ConnectionResetError(),
    TimeoutError(),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EROFS, "Read-only file system"),
]
FAULTS = [
    IntegrityError("UNIQUE constraint failed"),
    DataError("value too long"),
    ValueError("a bug"),
    FileNotFoundError(errno.ENOENT, "No such file"),
    PermissionError(errno.EACCES, "Permission denied"),
    errors.NoFaceFound(),
    errors.ProcessingFailed(),
    errors.ObjectNotFound(),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_work_waits_for_the_end_of_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_work_fails_when_the_fault_is_its_own(error: Exception) -> None:
    assert not is_outage(error)


def test_a_library_s_error_is_not_recognised_by_its_name() -> None:
    kind = type("EndpointConnectionError", (Exception,), {})
    named_alike = type("ConnectionError", (kind,), {})
    assert not is_outage(named_alike())
