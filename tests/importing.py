"""Small imports: archives and folders of the fake engine's photos, and what became of them."""

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


def laid_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write these files into the folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def run(files: Mapping[str, bytes], collection: Collection, **options: Any) -> ImportJob:
    job = jobs.submit_archive(zipped(files), collection=collection, actor=STAFF, **options)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    return job


def results(job: ImportJob) -> dict[str, str]:
    """Return each file's state, with the code of what is wrong."""
    return {
        item.path: item.state if item.problem is None else f"{item.state} {item.problem['code']}"
        for item in job.items.all()
    }


def killed(*args: Any) -> None:
    """Do what the end of the process does, in the place of an act."""
    raise KeyboardInterrupt
