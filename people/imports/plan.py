"""Plan an import: write a row for every file of its source, with each person's files together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError

from people.errors import NotImportable, SourceGone, TooManyFiles, as_stored
from people.import_records import UNFINISHED
from people.imports import people_csv, sources
from people.imports.entries import MAX_ENTRIES, MAX_PATH, folder_of
from people.imports.sources import Source
from people.models import ImportItem, ImportJob
from people.models.collection import validate_key

BATCH = 500
"""Rows per insert."""
State = ImportItem.State


def plan(job: ImportJob, source: Source, people: Mapping[str, people_csv.Row]) -> None:
    """Write a row for every file.

    The fingerprint is written last, so if this is interrupted, the next run plans the import again.
    """
    planned = _listed(source, people)
    ImportItem.objects.filter(job=job).delete()
    for start in range(0, len(planned), BATCH):
        rows = [
            ImportItem(
                job=job,
                number=start + offset,
                path=planned_file.path,
                person_key=planned_file.key,
                state=State.SKIPPED if planned_file.problem else State.PENDING,
                problem=as_stored(planned_file.problem) if planned_file.problem else None,
            )
            for offset, planned_file in enumerate(planned[start : start + BATCH])
        ]
        ImportItem.objects.bulk_create(rows)
    job.fingerprint = _digest(planned)
    ImportJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
        fingerprint=job.fingerprint, state=ImportJob.State.RUNNING
    )


def fingerprint(job: ImportJob) -> str:
    """Return a digest of the source's current files; an empty string if they can't be listed."""
    try:
        with sources.opened(job) as source:
            return _digest(_listed(source, sources.people_of(source)))
    except sources.REFUSALS:
        return ""


@dataclass(frozen=True, slots=True, order=True)
class _Planned:
    """A file to import. Sorting keeps all files of one person together."""

    key: str
    path: str
    mark: str
    problem: NotImportable | None = field(compare=False)


def _listed(source: Source, people: Mapping[str, people_csv.Row]) -> list[_Planned]:
    """Return the files to import, in order, and an entry for each folder in people.csv that has no photos."""
    planned: list[_Planned] = []
    folders: set[str] = set()
    for entry in source.entries():
        if entry.path == people_csv.NAME:
            continue
        if len(planned) >= MAX_ENTRIES:
            raise TooManyFiles
        folder = folder_of(entry.path)
        problem = NotImportable(entry.problem.message) if entry.problem else None
        key = ""
        if len(entry.path) > MAX_PATH or not _storable(entry.path):
            problem = problem or NotImportable("The name is too long, or not UTF-8. Rename the file.")
        elif folder is None:
            problem = problem or NotImportable(
                "The file isn't directly in a person's folder. Rename it to person/photo.jpg."
            )
        else:
            folders.add(folder)
            key = people[folder].external_id if folder in people else folder
            try:
                validate_key(key)
            except ValidationError:
                problem = problem or NotImportable(
                    "The folder's name can't be used as an external_id: only letters, digits and _ . - : are "
                    "allowed. Rename the folder, or give it an external_id in people.csv."
                )
                key = ""
        path = entry.path.encode(errors="replace").decode()[:MAX_PATH]
        planned.append(_Planned(key, path, f"{entry.size}:{entry.mark}", problem))
    if not planned:
        raise SourceGone("The source contains no photos. Its layout must be person/photo.jpg.")
    for folder, row in people.items():
        if folder not in folders:
            missing = NotImportable(f"Line {row.line} of people.csv names a folder that has no photos.")
            planned.append(_Planned("", people_csv.NAME, str(row.line), missing))
    planned.sort()
    return planned


def _storable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(planned: list[_Planned]) -> str:
    digest = hashlib.sha256()
    for file in planned:
        digest.update(f"{file.path}\0{file.key}\0{file.mark}\0".encode())
    return digest.hexdigest()
