"""`manage.py import_people`: folders and archives of this machine."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from people import enrolment
from people.models import Collection, ImportJob, Photo
from tests import fakes
from tests.importing import PEOPLE, killed, laid_out, zipped
from tests.stored_files import stored_files


def test_the_command_imports_a_folder(collection: Collection, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("import_people", str(laid_out(tmp_path, PEOPLE)), collection="default", stdout=out)
    assert "3 files: 3 enrolled" in out.getvalue()
    assert Photo.objects.count() == 3


def test_the_command_goes_on_with_an_interrupted_import_unless_its_source_changed(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = laid_out(tmp_path / "photos", PEOPLE)
    arguments = ["import_people", str(folder), "--collection=default"]
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", killed)
        with pytest.raises(CommandError, match="goes on where it stopped"):
            call_command(*arguments)
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert "going on with it" in out.getvalue()
    assert "3 files: 3 enrolled" in out.getvalue()
    assert ImportJob.objects.count() == 1

    laid_out(folder, {"eve/1.png": fakes.photo(5)})
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", killed)
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
        (str(laid_out(tmp_path / "empty", {".DS_Store": b""})), "default", "contains no photos"),
        (str(laid_out(tmp_path, {"x.zip": b"x"}) / "x.zip"), "default", "not a ZIP archive"),
    ]:
        with pytest.raises(CommandError, match=told):
            call_command("import_people", source, collection=name)
    laid_out(tmp_path / "photos", {**PEOPLE, "people.csv": b"name\nx\n"})
    with pytest.raises(CommandError, match="line 1"):
        call_command("import_people", str(tmp_path / "photos"), collection="default")
