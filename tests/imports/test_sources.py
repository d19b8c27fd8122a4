"""Archives and folders as they come: damaged, hostile, odd."""

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
from tests.importing import PEOPLE, laid_out, results, zipped
from tests.stored_files import stored_files


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
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
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


def test_a_bomb_of_few_bytes_is_refused_before_it_is_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada/1.png", bytes(9_000_000))
    job = jobs.submit_archive(buffer, collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_a_bomb_of_entries_that_share_their_bytes_is_refused(collection: Collection) -> None:
    archive = zipped({"ada/1.png": fakes.photo(1)}).getvalue()
    start = archive.index(b"PK\1\2")
    end = archive.index(b"PK\5\6")
    entry = archive[start:end]
    again = entry.replace(b"ada/1.png", b"ada/2.png")
    tail = archive[end : end + 8] + struct.pack("<HHLLH", 2, 2, 2 * len(entry), start, 0)
    hostile = archive[:start] + entry + again + tail
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_two_entries_of_one_name_are_refused(collection: Collection) -> None:
    hostile = renamed(zipped({"ada/1.png": b"x", "ada/2.png": b"y"}).getvalue(), "ada/2.png", "ada/1.png")
    job = jobs.submit_archive(io.BytesIO(hostile), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert_refused(job)


def test_a_file_larger_than_a_photo_may_be_is_refused_by_what_it_says_and_by_what_it_is(
    collection: Collection,
) -> None:
    large = bytes(range(256)) * 40_000  # 10.24 MB
    archive = bytearray(zipped({"ada/1.png": large, "ada/2.png": large}).getvalue())
    for start in (archive.rindex(b"PK\3\4"), archive.rindex(b"PK\1\2")):
        at = start + (22 if archive[start + 2] == 3 else 24)
        archive[at : at + 4] = struct.pack("<L", 1000)  # lies on the second one
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {
        "ada/1.png": "rejected photo_too_large",
        "ada/2.png": "rejected entry_unreadable",
    }


def test_entries_whose_decoder_has_no_limit_are_not_unpacked(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ada/1.png", fakes.photo(1))
    job = jobs.submit_archive(buffer, collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {"ada/1.png": "skipped not_importable"}


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_a_damaged_archive_is_refused_at_once(collection: Collection, cut: int) -> None:
    with pytest.raises(ArchiveUnreadable):
        jobs.submit_archive(io.BytesIO(zipped(PEOPLE).getvalue()[:cut]), collection=collection, actor=STAFF)
    assert not ImportJob.objects.exists()
    assert stored_files() == []


def test_a_damaged_entry_keeps_no_other_out(collection: Collection) -> None:
    archive = bytearray(zipped(PEOPLE).getvalue())
    archive[archive.index(b"ada/2.png") + 100] ^= 0xFF
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert results(job) == {
        "ada/1.png": "enrolled",
        "ada/2.png": "rejected entry_unreadable",
        "bob/1.png": "enrolled",
    }


def test_an_archive_of_too_many_files_is_refused_before_it_is_taken_into_memory(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "MAX_ENTRIES", 2)
    with pytest.raises(TooManyFiles):
        jobs.submit_archive(zipped(PEOPLE), collection=collection, actor=STAFF)


@pytest.mark.slow
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
    job = jobs.begin(str(folder), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    assert jobs.counts(job) == Counts(total=7, enrolled=4, skipped=3)
    laid_out(tmp_path, {"secret.png": fakes.photo(5)})
    (folder / "ada" / "6.png").symlink_to(tmp_path / "secret.png")
    job = jobs.begin(str(folder), collection=collection, actor=STAFF)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "import_refused")


def test_a_link_that_is_laid_after_the_listing_is_not_followed_out(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "photos", PEOPLE)
    laid_out(tmp_path, {"secret.png": b"secret"})
    source = sources.FolderSource(folder)
    (folder / "ada" / "1.png").unlink()
    (folder / "ada" / "1.png").symlink_to(tmp_path / "secret.png")
    for path in ("ada/1.png", "../secret.png", str(tmp_path / "secret.png"), "ada", "nothing"):
        with pytest.raises(EntryUnreadable):
            source.read(path)
