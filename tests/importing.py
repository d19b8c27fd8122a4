"""Small imports for tests: archives and folders of photos for the fake engine, and the files' results."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from people.imports import jobs
from people.models import Collection, ImportJob
from tests import fakes
from tests.actors import STAFF

PEOPLE = {
    "ada/1.png": fakes.photo(1),
    "ada/2.png": fakes.photo(1, variation=2),
    "bob/1.png": fakes.photo(2),
}


def zipped(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return a ZIP archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write these files into the folder and return it."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def run(files: Mapping[str, bytes], collection: Collection, **options: Any) -> ImportJob:
    """Import these files from an archive and return the finished job."""
    job = jobs.submit_archive(zipped(files), collection=collection, actor=STAFF, **options)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    return job


def results(job: ImportJob) -> dict[str, str]:
    """Return the state of each file by path, followed by the problem's code if there is one."""
    return {
        item.path: item.state if item.problem is None else f"{item.state} {item.problem['code']}"
        for item in job.items.all()
    }


def kill(*args: Any) -> None:
    """Raise KeyboardInterrupt, as if the process had been killed. Tests replace a real function with it."""
    raise KeyboardInterrupt
