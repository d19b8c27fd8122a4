"""people.csv: folder names match it in any Unicode form, and every mistake fails the import."""

from __future__ import annotations

import io
import struct
import unicodedata
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from people.imports import jobs
from people.models import Collection, ImportJob, Person
from tests import fakes
from tests.actors import STAFF
from tests.importing import results, run, write_files, zipped

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAME = "Amélie Ågren ﬁ 가"
Form = Literal["NFC", "NFD"]
FORMS: list[tuple[Form, Form]] = [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC"), ("NFD", "NFD")]


def _source(folder_form: Form, csv_form: Form) -> dict[str, bytes]:
    folder, csv_name = unicodedata.normalize(folder_form, NAME), unicodedata.normalize(csv_form, NAME)
    lines = f"folder,external_id,name\n{csv_name},amelie,{NAME}\n"
    return {f"{folder}/1.png": fakes.photo(1), "people.csv": lines.encode()}


def _assert_imported(job: ImportJob, folder_form: Form) -> None:
    assert results(job) == {f"{unicodedata.normalize(folder_form, NAME)}/1.png": "enrolled"}
    assert Person.objects.get().external_id == "amelie"
    assert Person.objects.get().name == NAME


@pytest.mark.parametrize(("folder_form", "csv_form"), FORMS)
def test_names_match_in_an_archive(collection: Collection, folder_form: Form, csv_form: Form) -> None:
    _assert_imported(run(_source(folder_form, csv_form), collection), folder_form)


@pytest.mark.parametrize(("folder_form", "csv_form"), FORMS)
def test_names_match_in_a_folder(
    collection: Collection, tmp_path: Path, folder_form: Form, csv_form: Form
) -> None:
    folder = write_files(tmp_path / "source", _source(folder_form, csv_form))
    job = jobs.begin(str(folder), collection=collection, actor=STAFF)
    jobs.run(job.pk)
    _assert_imported(job, folder_form)


@pytest.mark.parametrize(("folder_form", "csv_form"), FORMS)
def test_names_match_in_a_bucket(
    collection: Collection, s3: S3Client, folder_form: Form, csv_form: Form
) -> None:
    for path, data in _source(folder_form, csv_form).items():
        s3.put_object(Bucket="inbox", Key=f"people/{path}", Body=data)
    job = jobs.submit_prefix("inbox", "people", collection=collection, actor=STAFF)
    jobs.run(job.pk)
    _assert_imported(job, folder_form)


def _without_utf8_flag(archive: bytes) -> bytes:
    """Return the archive as macOS writes it: names in UTF-8, without bit 11 of the flags."""
    changed = bytearray(archive)
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = archive.find(signature)
        while at >= 0:
            (bits,) = struct.unpack_from("<H", changed, at + flags)
            struct.pack_into("<H", changed, at + flags, bits & ~0x800)
            at = archive.find(signature, at + 4)
    return bytes(changed)


def test_names_match_in_an_archive_written_by_macos(collection: Collection) -> None:
    archive = _without_utf8_flag(zipped(_source("NFD", "NFC")).getvalue())
    job = jobs.submit_archive(io.BytesIO(archive), collection=collection, actor=STAFF)
    jobs.run(job.pk)
    _assert_imported(job, "NFD")


def test_names_in_an_archive_with_an_old_encoding_are_decoded(collection: Collection) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Jos?/1.png", fakes.photo(1))
        archive.writestr("people.csv", "folder,external_id\nJosé,jose\n".encode())
    archive_in_cp437 = buffer.getvalue().replace(b"Jos?", "José".encode("cp437"))
    job = jobs.submit_archive(io.BytesIO(archive_in_cp437), collection=collection, actor=STAFF)
    jobs.run(job.pk)
    assert results(job) == {"José/1.png": "enrolled"}


def test_the_same_folder_in_two_unicode_forms_is_a_mistake_in_people_csv(collection: Collection) -> None:
    rows = "".join(f"{unicodedata.normalize(form, NAME)},{form}\n" for form in ("NFC", "NFD"))
    job = run({"a/1.png": fakes.photo(1), "people.csv": f"folder,external_id\n{rows}".encode()}, collection)
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "people_csv_invalid")
    assert "line 3" in (job.problem or {})["detail"]


@pytest.mark.parametrize(
    "cell",
    ['"{""a"": ' + "[" * 3_000 + "]" * 3_000 + '}"', '"{""a"": ' + "[" * 60_000 + '"',
     r'"{""a"": ""\u0000""}"',
     r'"{""a"": ""\ud800""}"', '"{""a"": NaN}"', '"{""a"": 1e400}"', '"{""a"": ' + "9" * 5_000 + '}"',
     '"{""a"": 1, ""a"": 2}"', "[]", "null", "{", '"{""a"": ""\0""}"'],
    ids=["nested", "unclosed nesting", "nul", "surrogate", "nan", "float", "integer", "duplicate key",
         "array", "null",
         "broken", "raw nul"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["metadata", "consent_given_at"])
def test_a_hostile_cell_is_reported_with_its_line(collection: Collection, cell: str, column: str) -> None:
    lines = f"folder,{column}\nbob,\nada,{cell}\n"
    job = run({"ada/1.png": fakes.photo(1), "people.csv": lines.encode()}, collection)
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "people_csv_invalid")
    assert "line 3" in (job.problem or {})["detail"]
    assert not Person.objects.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ufffe", "x" * 300, "\ud7ff", "=1+1"])
@pytest.mark.parametrize("column", ["folder", "external_id", "name"])
def test_no_text_in_people_csv_leaves_an_import_pending(
    collection: Collection, name: str, column: str
) -> None:
    cells: dict[str, str] = {"folder": "ada", "external_id": "", "name": "", column: name}
    lines = f"{','.join(cells)}\n{','.join(cells.values())}\n"
    job = run({"ada/1.png": fakes.photo(1), "people.csv": lines.encode()}, collection)
    assert job.state in (ImportJob.State.FAILED, ImportJob.State.COMPLETE)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe", b"folder\n" + b"\xed\xa0\x80", b"folder,\0\n", b"\0",
     b'folder\n"', b"folder\n" + b"x" * 200_000,
     b"folder," * 2_000 + b"\n"],
)  # fmt: skip
def test_an_unreadable_people_csv_fails_the_import(collection: Collection, data: bytes) -> None:
    job = run({"ada/1.png": fakes.photo(1), "people.csv": data}, collection)
    assert (job.state, (job.problem or {})["code"]) == (ImportJob.State.FAILED, "people_csv_invalid")
    assert "line" in (job.problem or {})["detail"]
