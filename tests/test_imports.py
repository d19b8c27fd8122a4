from __future__ import annotations

import errno
import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from django.core.files.storage import Storage
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from people import enrolment, erasure, extraction, import_sources, imports, tasks
from people.errors import ArchiveUnreadable, EntryUnreadable, FacerecError, ImportRefused, TooManyFiles
from people.import_sources import ZipSource
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


def test_a_person_erased_before_the_import_meets_them_is_not_created_by_it(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    ada = enrolled(9, external_id="ada")
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert not imports.run(job.pk, until=0)  # planned, nothing imported yet
    erasure.erase(ada, actor=STAFF)
    assert imports.run(job.pk)
    assert [person.external_id for person in Person.objects.all()] == ["bob"]
    assert not job.items.filter(person_key="ada").exists()


def test_a_person_erased_after_the_import_leaves_no_name_in_it(collection: Collection) -> None:
    job = run({**PEOPLE, "ada/3.png": fakes.photo(None)}, collection)
    erasure.erase(Person.objects.get(external_id="ada"), actor=STAFF)
    known = [(item.path, item.person_key, item.photo_id) for item in job.items.all()[:3]]
    assert known == [("", "", None)] * 3
    assert "ada" not in str(list(job.items.values()))


def test_an_erasure_between_two_steps_of_one_file_wins(
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


def test_an_interrupted_import_goes_on_where_it_stopped(collection: Collection) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)

    def stop(item: ImportItem) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            imports.run(job.pk, watch=stop)
    assert imports.counts(job) == imports.Counts(total=3, pending=1, enrolled=2)
    assert imports.run(job.pk)
    assert imports.counts(job) == imports.Counts(total=3, enrolled=3)


def test_a_file_whose_process_died_after_storing_it_counts_as_enrolled_by_this_import(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", _killed)
        with pytest.raises(KeyboardInterrupt):
            imports.run(job.pk)
    assert Photo.objects.get().status == Photo.Status.PENDING
    assert imports.run(job.pk)
    assert set(results(job).values()) == {State.ENROLLED}
    assert Photo.objects.count() == 3


def _killed(*args: Any) -> None:
    raise KeyboardInterrupt


def test_a_refused_photo_is_told_with_its_reasons_and_not_kept(
    collection: Collection, work: Callable[[], None]
) -> None:
    files = {
        "ada/dark.png": fakes.photo(1, dark=True),
        "ada/good.png": fakes.photo(1),
        "bob/nobody.png": fakes.photo(None),
        "bob/two.png": fakes.photo(2, 3),
        "eve/notes.txt": b"not a photo",
    }
    job = run(files, collection)
    assert results(job) == {
        "ada/dark.png": "rejected poor_quality",
        "ada/good.png": "enrolled",
        "bob/nobody.png": "rejected no_face",
        "bob/two.png": "rejected several_faces",
        "eve/notes.txt": "rejected not_an_image",
    }
    dark = job.items.get(path="ada/dark.png").problem
    assert dark is not None
    assert {"code", "measured", "required", "hint"} <= set(dark["reasons"][0])
    work()
    assert Photo.objects.count() == len(stored_files()) == 1
    assert not Person.objects.filter(external_id="eve").exists()


def test_a_dry_run_says_what_an_import_would_give_and_changes_nothing(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    ada = enrolled(1, external_id="ada")
    files = {
        **PEOPLE,  # ada/1.png is enrolled already
        "bob/again.png": PEOPLE["bob/1.png"],
        "bob/dark.png": fakes.photo(2, dark=True),
        "eve/nobody.png": fakes.photo(None),
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
        "eve/nobody.png": "rejected no_face",
        "eve/notes.txt": "rejected not_an_image",
        "mallory/notes.txt": "rejected not_an_image",
    }
    assert imports.counts(dry).persons_to_create == 2
    before = Person.objects.count()
    real = run(files, collection)
    assert {path: state.split()[0] for path, state in results(real).items()} == {
        path: state.split()[0] for path, state in results(dry).items()
    }
    assert Person.objects.count() - before == 2


def test_a_dry_run_finds_a_duplicate_that_an_earlier_turn_saw(collection: Collection) -> None:
    files = {"ada/1.png": PEOPLE["ada/1.png"], "ada/2.png": PEOPLE["ada/1.png"]}
    job = imports.submit_archive(zipped(files), collection=collection, dry_run=True, actor=STAFF)
    with pytest.raises(KeyboardInterrupt):
        imports.run(job.pk, watch=_killed)
    assert imports.run(job.pk)
    assert results(job) == {"ada/1.png": "enrolled", "ada/2.png": "known duplicate"}


def test_people_csv_says_who_the_folders_are(collection: Collection) -> None:
    csv = (
        "\ufefffolder,external_id,name,metadata,consent_given_at,consent_expires_at\r\n"
        'ada,emp-1,"Lovelace, Ada","{""floor"": 2}",2026-01-02,2099-01-02T03:04:05+01:00\r\n'
        "\r\n"
        "bob,,Bób,,,\r\n"
        "nobody,emp-9,,,,\r\n"
    )
    job = run({**PEOPLE, "people.csv": csv.encode()}, collection)
    ada, bob = Person.objects.get(external_id="emp-1"), Person.objects.get(external_id="bob")
    assert (ada.name, ada.metadata, bob.name) == ("Lovelace, Ada", {"floor": 2}, "Bób")
    assert ada.consent_given_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert ada.consent_expires_at == datetime(2099, 1, 2, 2, 4, 5, tzinfo=UTC)
    (missing,) = job.items.filter(state=State.SKIPPED)
    assert (missing.problem or {})["detail"].startswith("Line 5 ")


def test_an_import_changes_nobody_who_is_there_already(
    collection: Collection, enrolled: Callable[..., Person]
) -> None:
    enrolled(1, external_id="ada", name="Ada")
    run({**PEOPLE, "people.csv": b"folder,name\nada,Somebody else\n"}, collection)
    assert Person.objects.get(external_id="ada").name == "Ada"


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        (b"folder,nickname\nada,x\n", "line 1: Unknown columns: 'nickname'"),
        (b"external_id,name\nada,x\n", "line 1: "),
        (b"folder;name\nada;x\n", "line 1: Unknown columns: 'folder;name'"),
        (b"", "line 1: "),
        (b"folder,name\nada,x,y\n", "line 2: There are 3 cells for 2 columns"),
        (b"folder,external_id\nada,a b\n", "line 2: `external_id`: Use 1 to 255"),
        (b"folder,external_id\nada,1\nbob,1\n", "line 3: The external_id stands in line 2"),
        (b"folder\nada\nada\n", "line 3: The folder stands in line 2"),
        (b"folder,metadata\nada,[1]\n", "line 2: `metadata`: Metadata must be a JSON object"),
        (b"folder,metadata\nada,{\n", "line 2: `metadata` must be a JSON object"),
        (b"folder,consent_given_at\nada,yesterday\n", "line 2: `consent_given_at` must be a date"),
        (b"folder,consent_given_at\nada,2026-02-31\n", "line 2: `consent_given_at` must be a date"),
        (b"folder,consent_expires_at\nada,2026-02-01\n", "line 2: `consent_given_at`: Say when"),
        (b"folder,name\nada,\xe4\n", "line 2: This is not UTF-8"),
        (b'folder,name\nada,"x\n', "line 2: This is not valid CSV"),
        (b"folder,name\nada,a\0b\n", "line 2: "),
        (b"folder,name\n../x,y\n", "line 2: `folder` must name one folder"),
    ],
)
def test_mistakes_in_people_csv_are_told_with_their_line_before_anything_is_enrolled(
    collection: Collection, csv: bytes, told: str
) -> None:
    job = run({**PEOPLE, "people.csv": csv}, collection)
    assert job.problem is not None
    assert (job.state, job.problem["code"]) == (ImportJob.State.FAILED, "people_csv_invalid")
    assert job.problem["errors"]["people.csv"][0].startswith(told), job.problem
    assert not Person.objects.exists()


def test_a_collection_that_requires_consent_takes_those_only_whose_consent_stands_in_people_csv(
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


def test_files_that_are_nobodys_photo_are_skipped_and_say_why(collection: Collection) -> None:
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
    assert imports.counts(job) == imports.Counts(total=6, enrolled=1, skipped=5)
    (item,) = job.items.filter(path="Ada Lovelace/1.png")
    assert "external_id" in (item.problem or {})["detail"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../ada/1.png", "ada/../../1.png", "ada/..", "ada\\1.png", "C:/ada/1.png", "c:1.png",
        "ada//1.png", "./ada/1.png", "ada/1.png\0.txt", "..",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused_with_all_of_the_archive(
    collection: Collection, name: str
) -> None:
    hostile = renamed(zipped({**PEOPLE, "x" * len(name): b"x"}).getvalue(), "x" * len(name), name)
    job = imports.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def renamed(archive: bytes, old: str, new: str) -> bytes:
    """Return the archive with an entry renamed, as no honest program would."""
    assert archive.count(old.encode()) == 2
    return archive.replace(old.encode(), new.encode())


def assert_refused(job: ImportJob, code: str = "import_refused") -> None:
    job.refresh_from_db()
    assert job.problem is not None
    assert (job.state, job.problem["code"]) == (ImportJob.State.FAILED, code)
    assert not Person.objects.exists()
    assert not job.items.exists()


@settings(max_examples=100, deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_name_of_an_entry_makes_an_import_fall_over(name: str) -> None:
    files = {"x/1.png": b"x"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for one, data in files.items():
            archive.writestr(one, data)
        info = zipfile.ZipInfo("y")
        info.filename = name
        archive.writestr(info, b"y")
    try:
        source = ZipSource(buffer)
        entries = list(source.entries())
    except ImportRefused:
        return
    for entry in entries:
        assert not PurePosixPath(entry.path).is_absolute()
        assert ".." not in PurePosixPath(entry.path).parts
        assert source.read(entry.path) in (b"x", b"y")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_makes_reading_an_archive_fall_over(data: st.DataObject) -> None:
    archive = bytearray(zipped({"a/1.png": bytes(200), "b/1.png": b"x" * 50}).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(archive)))
    for hostile in (bytes(archive), bytes(archive[:cut])):
        with suppress(FacerecError):
            source = ZipSource(io.BytesIO(hostile))
            for entry in source.entries():
                source.read(entry.path)


def test_links_in_an_archive_are_refused(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("ada/1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    job = imports.submit_archive(buffer, collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def test_an_encrypted_archive_is_refused(collection: Collection) -> None:
    archive = bytearray(zipped({"ada/1.png": b"x"}).getvalue())
    archive[6] |= 1
    archive[archive.index(b"PK\1\2") + 8] |= 1
    job = imports.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def test_a_bomb_of_few_bytes_is_refused_before_it_is_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada/1.png", bytes(9_000_000))
    job = imports.submit_archive(buffer, collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def test_a_bomb_of_entries_that_share_their_bytes_is_refused(collection: Collection) -> None:
    archive = zipped({"ada/1.png": fakes.photo(1)}).getvalue()
    start = archive.index(b"PK\1\2")
    end = archive.index(b"PK\5\6")
    entry = archive[start:end]
    again = entry.replace(b"ada/1.png", b"ada/2.png")
    tail = archive[end : end + 8] + struct.pack("<HHLLH", 2, 2, 2 * len(entry), start, 0)
    hostile = archive[:start] + entry + again + tail
    job = imports.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def test_two_entries_of_one_name_are_refused(collection: Collection) -> None:
    hostile = renamed(zipped({"ada/1.png": b"x", "ada/2.png": b"y"}).getvalue(), "ada/2.png", "ada/1.png")
    job = imports.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert_refused(job)


def test_a_file_larger_than_a_photo_may_be_is_refused_by_what_it_says_and_by_what_it_is(
    collection: Collection,
) -> None:
    large = bytes(range(256)) * 40_000  # 10.24 MB
    archive = bytearray(zipped({"ada/1.png": large, "ada/2.png": large}).getvalue())
    for start in (archive.rindex(b"PK\3\4"), archive.rindex(b"PK\1\2")):
        at = start + (22 if archive[start + 2] == 3 else 24)
        archive[at : at + 4] = struct.pack("<L", 1000)  # lies on the second one
    job = imports.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert results(job) == {
        "ada/1.png": "rejected photo_too_large",
        "ada/2.png": "rejected entry_unreadable",
    }


def test_entries_whose_decoder_has_no_limit_are_not_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ada/1.png", fakes.photo(1))
    job = imports.submit_archive(buffer, collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert results(job) == {"ada/1.png": "skipped not_importable"}


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_a_damaged_archive_is_refused_at_once(collection: Collection, cut: int) -> None:
    with pytest.raises(ArchiveUnreadable):
        imports.submit_archive(
            io.BytesIO(zipped(PEOPLE).getvalue()[:cut]), collection=collection, actor=STAFF
        )
    assert not ImportJob.objects.exists()
    assert stored_files() == []


def test_a_damaged_entry_keeps_no_other_out(collection: Collection) -> None:
    archive = bytearray(zipped(PEOPLE).getvalue())
    archive[archive.index(b"ada/2.png") + 100] ^= 0xFF
    job = imports.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert results(job) == {
        "ada/1.png": "enrolled",
        "ada/2.png": "rejected entry_unreadable",
        "bob/1.png": "enrolled",
    }


def test_an_archive_of_too_many_files_is_refused_before_it_is_taken_into_memory(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_sources, "MAX_ENTRIES", 2)
    with pytest.raises(TooManyFiles):
        imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)


def test_an_archive_of_more_than_65535_files_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(66_000):
            archive.writestr(f"p{number}/1.png", b"")
    with (tmp_path / "many.zip").open("rb") as file:
        assert sum(1 for _ in ZipSource(file).entries()) == 66_000


def test_a_link_that_leaves_the_folder_is_refused_and_one_inside_is_read(
    collection: Collection, tmp_path: Path
) -> None:
    folder = laid_out(tmp_path / "photos", PEOPLE)
    (folder / "ada" / "3.png").symlink_to(folder / "bob" / "1.png")
    (folder / "ada" / "4.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "ada" / "5.png")
    (folder / "eve").symlink_to(folder / "bob")
    job = imports.begin(str(folder), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    assert imports.counts(job) == imports.Counts(total=7, enrolled=4, skipped=3)
    laid_out(tmp_path, {"secret.png": fakes.photo(5)})
    (folder / "ada" / "6.png").symlink_to(tmp_path / "secret.png")
    job = imports.begin(str(folder), collection=collection, actor=STAFF)
    assert imports.run(job.pk)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "import_refused")


def test_a_link_that_is_laid_after_the_listing_is_not_followed_out(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "photos", PEOPLE)
    laid_out(tmp_path, {"secret.png": b"secret"})
    source = import_sources.FolderSource(folder)
    (folder / "ada" / "1.png").unlink()
    (folder / "ada" / "1.png").symlink_to(tmp_path / "secret.png")
    for path in ("ada/1.png", "../secret.png", str(tmp_path / "secret.png"), "ada", "nothing"):
        with pytest.raises(EntryUnreadable):
            source.read(path)


def test_an_uploaded_archive_is_gone_when_its_import_ended_failed_or_was_cancelled(
    collection: Collection, work: Callable[[], None]
) -> None:
    run({"ada/1.txt": b"x"}, collection)
    run({"../1.txt": b"x"}, collection)
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert stored_files() == [f"imports/{one.pk}.zip" for one in sorted(ImportJob.objects.all(), key=str)]
    assert imports.cancel(job, actor=STAFF)
    work()
    assert stored_files() == []


def test_an_archive_whose_import_was_never_stored_is_removed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(imports.outbox, "run_import", _killed)
    with pytest.raises(KeyboardInterrupt):
        imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert len(stored_files()) == 1
    OutboxEntry.objects.update(due_at=timezone.now())
    work()
    assert stored_files() == []


def test_a_cancelled_import_stops_and_keeps_what_it_enrolled(collection: Collection) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert imports.run(job.pk, watch=lambda item: imports.cancel(job, actor=STAFF))
    job.refresh_from_db()
    assert job.state == ImportJob.State.CANCELLED
    assert sorted(results(job).values()) == ["enrolled", "skipped cancelled", "skipped cancelled"]
    assert not imports.cancel(job, actor=STAFF)


def test_deleting_a_collection_ends_its_imports_with_their_archives(
    collection: Collection, work: Callable[[], None]
) -> None:
    imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    erasure.erase_collection(collection, actor=STAFF)
    work()
    assert stored_files() == []
    assert not ImportItem.objects.exists()


def test_the_worker_runs_an_import_a_turn_at_a_time(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, messages: list[int]
) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    monkeypatch.setattr(tasks, "IMPORT_SECONDS", -1)
    tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert (entry.attempts, entry.done_at, imports.counts(job).pending) == (0, None, 3)
    monkeypatch.setattr(tasks, "IMPORT_SECONDS", 60)
    tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert entry.done_at is not None
    assert imports.counts(job).enrolled == 3


def test_an_import_that_fails_again_and_again_is_ended_visibly(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    monkeypatch.setattr(import_sources, "people_of", _broken)
    for _ in range(10):
        tasks.deliver(entry.pk)
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "processing_failed")
    work()
    assert stored_files() == []


def _broken(*args: Any) -> None:
    raise RuntimeError


def test_a_collection_that_is_deleted_while_an_import_runs_is_gone_with_all(
    collection: Collection, work: Callable[[], None]
) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    assert imports.run(job.pk, watch=lambda item: _delete(collection))
    work()
    assert not Person.objects.exists()
    assert not Collection.objects.exists()
    assert stored_files() == []


def _delete(collection: Collection) -> None:
    erasure.erase_collection(collection, actor=STAFF)


def test_an_import_waits_while_something_it_needs_is_away(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = imports.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.RUN_IMPORT)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "save", _disk_full)
        tasks.deliver(entry.pk)
    entry.refresh_from_db()
    assert (entry.attempts, entry.last_error, imports.counts(job).pending) == (0, "OSError", 3)
    assert imports.run(job.pk)
    assert imports.counts(job).enrolled == 3


def _disk_full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_a_fault_at_one_file_keeps_no_other_out(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = extraction.extract
    calls = iter(range(9))

    def fail_at_first(*args: Any) -> Any:
        if next(calls) == 0:
            raise RuntimeError
        return extract(*args)

    monkeypatch.setattr(extraction, "extract", fail_at_first)
    job = run(PEOPLE, collection)
    assert sorted(results(job).values()) == ["enrolled", "enrolled", "rejected processing_failed"]


def test_the_command_goes_on_with_an_interrupted_import_unless_its_source_changed(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = laid_out(tmp_path / "photos", PEOPLE)
    arguments = ["import_people", str(folder), "--collection=default"]
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", _killed)
        with pytest.raises(CommandError, match="goes on where it stopped"):
            call_command(*arguments)
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert "going on with it" in out.getvalue()
    assert "3 files: 3 enrolled" in out.getvalue()
    assert ImportJob.objects.count() == 1

    laid_out(folder, {"eve/1.png": fakes.photo(5)})
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", _killed)
        with pytest.raises(CommandError):
            call_command(*arguments)
    laid_out(folder, {"eve/2.png": fakes.photo(5, variation=1)})
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert "5 files: 1 enrolled, 4 known already" in out.getvalue()
    assert sorted(ImportJob.objects.values_list("state", flat=True)) == ["cancelled", "complete", "complete"]


def test_the_command_imports_an_archive_where_it_is_and_writes_every_result(
    collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "people.zip"
    path.write_bytes(zipped({**PEOPLE, "eve/1.txt": b"x"}).getvalue())
    out = io.StringIO()
    report = tmp_path / "report.json"
    call_command("import_people", str(path), collection="default", json=report, stdout=out)
    told = json.loads(report.read_text())
    assert (told["state"], told["counts"]["enrolled"], told["counts"]["rejected"]) == ("complete", 3, 1)
    assert [item["path"] for item in told["items"]] == [*PEOPLE, "eve/1.txt"]
    assert "eve/1.txt: The file is not a JPEG" in out.getvalue()
    assert path.exists()
    assert not [name for name in stored_files() if name.startswith("imports/")]


def test_the_command_tells_what_is_wrong_with_its_arguments(collection: Collection, tmp_path: Path) -> None:
    for source, name, told in [
        (str(tmp_path), "nothing", "no collection nothing"),
        (str(tmp_path / "nothing"), "default", "There is nothing at"),
        (str(laid_out(tmp_path / "empty", {".DS_Store": b""})), "default", "holds no photo"),
        (str(laid_out(tmp_path, {"x.zip": b"x"}) / "x.zip"), "default", "not a ZIP archive"),
    ]:
        with pytest.raises(CommandError, match=told):
            call_command("import_people", source, collection=name)
    laid_out(tmp_path / "photos", {**PEOPLE, "people.csv": b"name\nx\n"})
    with pytest.raises(CommandError, match="line 1"):
        call_command("import_people", str(tmp_path / "photos"), collection="default")
