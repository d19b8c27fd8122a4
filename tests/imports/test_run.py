"""What an import enrols, and the result that it records for each file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from people import enrolment, erasure
from people.imports import jobs
from people.models import Collection, ImportItem, ImportJob, OutboxEntry, Person, Photo
from people.models.import_job import Counts
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, kill, results, run, zipped
from tests.stored_files import stored_files

State = ImportItem.State


def test_photos_in_an_archive_are_enrolled_under_the_names_of_their_folders(
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


def test_repeating_an_import_enrols_nothing_new(collection: Collection) -> None:
    run(PEOPLE, collection)
    assert set(results(run(PEOPLE, collection)).values()) == {State.KNOWN}
    assert (Person.objects.count(), Photo.objects.count()) == (2, 3)


def test_a_person_erased_during_an_import_is_not_created_again_by_it(collection: Collection) -> None:
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)

    def erase_first(item: ImportItem) -> None:
        if item.number == 0:
            erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)

    assert jobs.run(job.pk, watch=erase_first)
    assert [person.external_id for person in Person.objects.all()] == ["bob"]
    states = [(item.path, item.person_key, item.state) for item in job.items.all()]
    assert states == [("", "", State.ENROLLED), ("", "", State.SKIPPED), ("bob/1.png", "bob", State.ENROLLED)]


def test_a_person_erased_before_an_import_reaches_their_files_is_not_created_by_it(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    ada = enrolled(9, external_id="ada")
    job = jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert not jobs.run(job.pk, until=0)  # planned, but nothing imported yet
    erasure.erase(ada, actor=STAFF)
    assert jobs.run(job.pk)
    assert [person.external_id for person in Person.objects.all()] == ["bob"]
    assert not job.items.filter(person_key="ada").exists()


def test_erasing_a_person_removes_their_name_from_finished_imports(collection: Collection) -> None:
    job = run({**PEOPLE, "ada/3.png": fakes.photo(None)}, collection)
    erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)
    stored = [(item.path, item.person_key, item.photo_id) for item in job.items.all()[:3]]
    assert stored == [("", "", None)] * 3
    # not in ids: they may happen to contain these letters
    assert "ada" not in str(list(job.items.values_list("path", "person_key", "problem")))


def test_an_erasure_between_two_steps_of_a_file_takes_precedence(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    enrol = enrolment.enrol

    def erase_then_enrol(photo_id: Any) -> None:
        for person in Person.objects.filter(external_id="ada"):
            erasure.erase(person, actor=STAFF)
        enrol(photo_id)

    monkeypatch.setattr(enrolment, "enrol", erase_then_enrol)
    job = run(PEOPLE, collection)
    work()
    assert [person.external_id for person in Person.objects.all()] == ["bob"]
    assert [item.state for item in job.items.all()] == [State.SKIPPED, State.SKIPPED, State.ENROLLED]
    assert len(stored_files()) == 1


def test_a_rejected_photo_is_reported_with_its_reasons_and_not_kept(
    collection: Collection, work: Callable[[], None]
) -> None:
    files = {
        "ada/dark.png": fakes.photo(1, dark=True),
        "ada/good.png": fakes.photo(1),
        "bob/empty.png": fakes.photo(None),
        "bob/two.png": fakes.photo(2, 3),
        "eve/notes.txt": b"not a photo",
    }
    job = run(files, collection)
    assert results(job) == {
        "ada/dark.png": "rejected poor_quality",
        "ada/good.png": "enrolled",
        "bob/empty.png": "rejected no_face",
        "bob/two.png": "rejected several_faces",
        "eve/notes.txt": "rejected not_an_image",
    }
    dark = job.items.get(path="ada/dark.png").problem
    assert dark is not None
    assert {"code", "measured", "required", "hint"} <= set(dark["reasons"][0])
    work()
    assert Photo.objects.count() == len(stored_files()) == 1
    assert not Person.objects.filter(external_id="eve").exists()


def test_a_dry_run_reports_what_an_import_would_do_and_changes_nothing(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    ada = enrolled(1, external_id="ada")
    files = {
        **PEOPLE,  # ada/1.png is enrolled already
        "bob/again.png": PEOPLE["bob/1.png"],
        "bob/dark.png": fakes.photo(2, dark=True),
        "eve/empty.png": fakes.photo(None),
        "eve/notes.txt": b"not a photo",
        "mallory/notes.txt": b"not a photo",
    }
    dry = run(files, collection, dry_run=True)
    assert (Person.objects.count(), Photo.objects.count()) == (1, 1)
    assert list(Person.objects.values_list("pk", "updated_at")) == [(ada.pk, ada.updated_at)]
    assert results(dry) == {
        "ada/1.png": "known",
        "ada/2.png": "enrolled",
        "bob/1.png": "enrolled",
        "bob/again.png": "known duplicate",
        "bob/dark.png": "rejected poor_quality",
        "eve/empty.png": "rejected no_face",
        "eve/notes.txt": "rejected not_an_image",
        "mallory/notes.txt": "rejected not_an_image",
    }
    assert jobs.counts(dry).persons_to_create == 2
    before = Person.objects.count()
    real = run(files, collection)
    assert {path: state.split()[0] for path, state in results(real).items()} == {
        path: state.split()[0] for path, state in results(dry).items()
    }
    assert Person.objects.count() - before == 2


def test_a_resumed_dry_run_finds_duplicates_of_files_checked_earlier(collection: Collection) -> None:
    files = {"ada/1.png": PEOPLE["ada/1.png"], "ada/2.png": PEOPLE["ada/1.png"]}
    job = jobs.submit_archive(zipped(files), collection=collection, dry_run=True, actor=STAFF)
    with pytest.raises(KeyboardInterrupt):
        jobs.run(job.pk, watch=kill)
    assert jobs.run(job.pk)
    assert results(job) == {"ada/1.png": "enrolled", "ada/2.png": "known duplicate"}


def test_people_csv_describes_the_person_of_each_folder(collection: Collection) -> None:
    csv = (
        "\ufefffolder,external_id,name,metadata,consent_given_at,consent_expires_at\r\n"
        'ada,emp-1,"Lovelace, Ada","{""floor"": 2}",2026-01-02,2099-01-02T03:04:05+01:00\r\n'
        "\r\n"
        "bob,,Bób,,,\r\n"
        "missing,emp-9,,,,\r\n"
    )
    job = run({**PEOPLE, "people.csv": csv.encode()}, collection)
    ada, bob = Person.objects.get(external_id="emp-1"), Person.objects.get(external_id="bob")
    assert (ada.name, ada.metadata, bob.name) == ("Lovelace, Ada", {"floor": 2}, "Bób")
    assert ada.consent_given_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert ada.consent_expires_at == datetime(2099, 1, 2, 2, 4, 5, tzinfo=UTC)
    (missing,) = job.items.filter(state=State.SKIPPED)
    assert (missing.problem or {})["code"] == "not_importable"
    assert "Line 5" in (missing.problem or {})["detail"]


def test_an_import_does_not_change_existing_people(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    enrolled(1, external_id="ada", name="Ada")
    run({**PEOPLE, "people.csv": b"folder,name\nada,Another name\n"}, collection)
    assert Person.objects.get(external_id="ada").name == "Ada"


@pytest.mark.parametrize(
    ("csv", "line", "named"),
    [
        (b"folder,nickname\nada,x\n", 1, "'nickname'"),
        (b"external_id,name\nada,x\n", 1, "`folder`"),
        (b"folder;name\nada;x\n", 1, "'folder;name'"),
        (b"", 1, "`folder`"),
        (b"folder,name\nada,x,y\n", 2, "3 cells"),
        (b"folder,external_id\nada,a b\n", 2, "`external_id`"),
        (b"folder,external_id\nada,1\nbob,1\n", 3, "external_id is already in line 2"),
        (b"folder\nada\nada\n", 3, "folder is already in line 2"),
        (b"folder,metadata\nada,[1]\n", 2, "`metadata`"),
        (b"folder,metadata\nada,{\n", 2, "`metadata`"),
        (b"folder,consent_given_at\nada,yesterday\n", 2, "`consent_given_at`"),
        (b"folder,consent_given_at\nada,2026-02-31\n", 2, "`consent_given_at`"),
        (b"folder,consent_expires_at\nada,2026-02-01\n", 2, "`consent_given_at`"),
        (b"folder,name\nada,\xe4\n", 2, "UTF-8"),
        (b'folder,name\nada,"x\n', 2, "CSV"),
        (b"folder,name\nada,a\0b\n", 2, "NUL"),
        (b"folder,name\n../x,y\n", 2, "`folder`"),
    ],
)
def test_mistakes_in_people_csv_are_reported_with_their_lines_before_anything_is_enrolled(
    collection: Collection, csv: bytes, line: int, named: str
) -> None:
    job = run({**PEOPLE, "people.csv": csv}, collection)
    assert job.problem is not None
    assert (job.state, job.problem["code"]) == (ImportJob.State.FAILED, "people_csv_invalid")
    mistake = job.problem["errors"]["people.csv"][0]
    assert mistake.startswith(f"line {line}: ")
    assert named in mistake
    assert not Person.objects.exists()


def test_a_collection_that_requires_consent_enrols_only_people_with_consent_in_people_csv(
    collection: Collection,
) -> None:
    collection.requires_consent = True
    collection.save()
    csv = b"folder,consent_given_at\nada,2026-01-01\n"
    for dry_run in (True, False):
        job = run({**PEOPLE, "people.csv": csv}, collection, dry_run=dry_run)
        assert results(job) == {
            "ada/1.png": "enrolled",
            "ada/2.png": "enrolled",
            "bob/1.png": "rejected consent_missing",
        }
    assert [person.external_id for person in Person.objects.all()] == ["ada"]


def test_files_outside_a_persons_folder_are_skipped_with_the_reason(collection: Collection) -> None:
    files = {
        "photo.png": fakes.photo(1),
        "people/ada/1.png": fakes.photo(1),
        "Ada Lovelace/1.png": fakes.photo(1),
        "ünal/1.png": fakes.photo(1),
        "ada/" + "x" * 1100: fakes.photo(1),
        "__MACOSX/ada/._1.png": b"",
        "ada/.DS_Store": b"",
        "ada/Thumbs.db": b"",
        "ada/": b"",
        "bob/1.png": fakes.photo(2),
    }
    job = run(files, collection)
    assert jobs.counts(job) == Counts(total=6, enrolled=1, skipped=5)
    (item,) = job.items.filter(path="Ada Lovelace/1.png")
    assert "external_id" in (item.problem or {})["detail"]
