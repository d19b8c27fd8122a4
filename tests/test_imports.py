from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.core.management import call_command

from people import erasure, imports
from people.models import Collection, ImportItem, ImportJob, OutboxEntry, Person, Photo
from tests import fakes
from tests.conftest import STAFF
from tests.test_enrolment import stored_files

State = ImportItem.State
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
    job = imports.submit_archive(zipped(files), collection=collection, actor=STAFF, **options)
    assert imports.run(job.pk)
    job.refresh_from_db()
    return job


def results(job: ImportJob) -> dict[str, str]:
    """Return each file's state, with the code of what is wrong."""
    return {
        item.path: item.state if item.problem is None else f"{item.state} {item.problem['code']}"
        for item in job.items.all()
    }


def test_the_photos_of_an_archive_are_enrolled_under_their_folders_names(
    collection: Collection, work: Callable[[], None]
) -> None:
    job = run(PEOPLE, collection)
    assert job.state == ImportJob.State.COMPLETE
    assert set(results(job).values()) == {State.ENROLLED}
    assert {person.external_id: person.photos.count() for person in Person.objects.all()} == {
        "ada": 2,
        "bob": 1,
    }
    assert not Photo.objects.exclude(status=Photo.Status.ACCEPTED).exists()
    work()
    assert len(stored_files()) == 3
    assert not OutboxEntry.objects.filter(done_at=None, topic=OutboxEntry.Topic.ENROL_PHOTO).exists()


def test_the_same_import_again_finds_all_known(collection: Collection) -> None:
    run(PEOPLE, collection)
    assert set(results(run(PEOPLE, collection)).values()) == {State.KNOWN}
    assert (Person.objects.count(), Photo.objects.count()) == (2, 3)


def test_the_command_imports_a_folder(collection: Collection, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("import_people", str(laid_out(tmp_path, PEOPLE)), collection="default", stdout=out)
    assert "3 files: 3 enrolled" in out.getvalue()
    assert Photo.objects.count() == 3


def test_an_erased_person_is_not_created_again_by_the_same_import(collection: Collection) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)

    def erase_first(item: ImportItem) -> None:
        if item.number == 0:
            erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)

    assert imports.run(job.pk, watch=erase_first)
    assert [person.external_id for person in Person.objects.all()] == ["bob"]
    states = [(item.path, item.person_key, item.state) for item in job.items.all()]
    assert states == [("", "", State.ENROLLED), ("", "", State.SKIPPED), ("bob/1.png", "bob", State.ENROLLED)]
