"""Sources of imports: damaged, hostile and unusual archives and folders."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from people.errors import ArchiveUnreadable, EntryUnreadable, FacerecError, ImportRefused, TooManyFiles
from people.imports import archive as archive_module
from people.imports import jobs, sources
from people.imports.archive import ZipSource
from people.models import Collection, ImportJob, Person
from people.models.import_job import Counts
from tests import fakes
from tests.actors import STAFF
from tests.importing import PEOPLE, results, write_files, zipped
from tests.stored_files import stored_files


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../ada/1.png", "ada/../../1.png", "ada/..", "ada\\1.png", "C:/ada/1.png", "c:1.png",
        "ada//1.png", "./ada/1.png", "ada/1.png\0.txt", "..",
    ],
)  # fmt: skip
def test_an_archive_with_a_path_outside_its_folder_is_refused_as_a_whole(
    collection: Collection, name: str
) -> None:
    hostile = with_renamed_entry(zipped({**PEOPLE, "x" * len(name): b"x"}).getvalue(), "x" * len(name), name)
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def with_renamed_entry(archive: bytes, old: str, new: str) -> bytes:
    """Return the archive with an entry renamed to a name that a well-behaved program wouldn't write."""
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
def test_no_entry_name_crashes_an_import(name: str) -> None:
    files = {"x/1.png": b"x"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
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
def test_reading_a_damaged_archive_raises_only_documented_errors(data: st.DataObject) -> None:
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
    job = jobs.submit_archive(buffer, collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_an_encrypted_archive_is_refused(collection: Collection) -> None:
    archive = bytearray(zipped({"ada/1.png": b"x"}).getvalue())
    archive[6] |= 1
    archive[archive.index(b"PK\1\2") + 8] |= 1
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_a_highly_compressed_zip_bomb_is_refused_before_it_is_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada/1.png", bytes(9_000_000))
    job = jobs.submit_archive(buffer, collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_a_zip_bomb_of_overlapping_entries_is_refused(collection: Collection) -> None:
    archive = zipped({"ada/1.png": fakes.photo(1)}).getvalue()
    start = archive.index(b"PK\1\2")
    end = archive.index(b"PK\5\6")
    entry = archive[start:end]
    second_entry = entry.replace(b"ada/1.png", b"ada/2.png")
    tail = archive[end : end + 8] + struct.pack("<HHLLH", 2, 2, 2 * len(entry), start, 0)
    hostile = archive[:start] + entry + second_entry + tail
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_an_archive_with_the_same_name_twice_is_refused(collection: Collection) -> None:
    hostile = with_renamed_entry(
        zipped({"ada/1.png": b"x", "ada/2.png": b"y"}).getvalue(), "ada/2.png", "ada/1.png"
    )
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_a_file_larger_than_the_limit_is_rejected_whether_or_not_it_declares_its_true_size(
    collection: Collection,
) -> None:
    large = bytes(range(256)) * 40_000  # 10.24 MB
    archive = bytearray(zipped({"ada/1.png": large, "ada/2.png": large}).getvalue())
    for start in (archive.rindex(b"PK\3\4"), archive.rindex(b"PK\1\2")):
        at = start + (22 if archive[start + 2] == 3 else 24)
        archive[at : at + 4] = struct.pack("<L", 1000)  # a false size for the second entry
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {
        "ada/1.png": "rejected photo_too_large",
        "ada/2.png": "rejected entry_unreadable",
    }


def test_entries_with_an_unsupported_compression_method_are_not_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ada/1.png", fakes.photo(1))
    job = jobs.submit_archive(buffer, collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {"ada/1.png": "skipped not_importable"}


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_a_damaged_archive_is_refused_on_submission(collection: Collection, cut: int) -> None:
    with pytest.raises(ArchiveUnreadable):
        jobs.submit_archive(io.BytesIO(zipped(PEOPLE).getvalue()[:cut]), collection=collection, actor=STAFF)
    assert not ImportJob.objects.exists()
    assert stored_files() == []


def test_a_damaged_entry_does_not_stop_the_others(collection: Collection) -> None:
    archive = bytearray(zipped(PEOPLE).getvalue())
    archive[archive.index(b"ada/2.png") + 100] ^= 0xFF
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {
        "ada/1.png": "enrolled",
        "ada/2.png": "rejected entry_unreadable",
        "bob/1.png": "enrolled",
    }


def test_an_archive_with_too_many_files_is_refused_before_it_is_read_into_memory(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "MAX_ENTRIES", 2)
    with pytest.raises(TooManyFiles):
        jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)


@pytest.mark.slow
def test_an_archive_with_more_than_65535_files_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(66_000):
            archive.writestr(f"p{number}/1.png", b"")
    with (tmp_path / "many.zip").open("rb") as file:
        assert sum(1 for _ in ZipSource(file).entries()) == 66_000


def test_a_link_out_of_the_folder_is_refused_and_a_link_inside_it_is_followed(
    collection: Collection, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "photos", PEOPLE)
    (folder / "ada" / "3.png").symlink_to(folder / "bob" / "1.png")
    (folder / "ada" / "4.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "ada" / "5.png")
    (folder / "eve").symlink_to(folder / "bob")
    job = jobs.begin(str(folder), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert jobs.counts(job) == Counts(total=7, enrolled=4, skipped=3)
    write_files(tmp_path, {"secret.png": fakes.photo(5)})
    (folder / "ada" / "6.png").symlink_to(tmp_path / "secret.png")
    job = jobs.begin(str(folder), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "import_refused")


def test_a_link_created_after_the_listing_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "photos", PEOPLE)
    write_files(tmp_path, {"secret.png": b"secret"})
    source = sources.FolderSource(folder)
    (folder / "ada" / "1.png").unlink()
    (folder / "ada" / "1.png").symlink_to(tmp_path / "secret.png")
    for path in ("ada/1.png", "../secret.png", str(tmp_path / "secret.png"), "ada", "nothing"):
        with pytest.raises(EntryUnreadable):
            source.read(path)
