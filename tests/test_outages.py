"""Which errors are outages, after which work is tried again, and which are faults of the work itself."""

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
def test_an_unavailable_or_full_resource_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_an_error_of_the_work_itself_is_not_an_outage(error: Exception) -> None:
    assert not is_outage(error)


def test_an_error_is_not_an_outage_just_because_its_class_has_the_same_name() -> None:
    library_error = type("EndpointConnectionError", (Exception,), {})
    same_name = type("ConnectionError", (library_error,), {})
    assert not is_outage(same_name())
