"""`manage.py import_people` with local folders and archives."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from people import enrolment
from people.models import Collection, ImportJob, Photo
from tests import fakes
from tests.importing import PEOPLE, kill, write_files, zipped
from tests.stored_files import stored_files


def test_the_command_imports_a_folder(collection: Collection, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("import_people", str(write_files(tmp_path, PEOPLE)), collection="default", stdout=out)
    assert "3 files: 3 enrolled" in out.getvalue()
    assert Photo.objects.count() == 3


def test_the_command_resumes_an_interrupted_import_unless_its_source_has_changed(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "photos", PEOPLE)
    arguments = ["import_people", str(folder), "--collection=default"]
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", kill)
        with pytest.raises(CommandError, match="resume"):
            call_command(*arguments)
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert "Resuming" in out.getvalue()
    assert "3 files: 3 enrolled" in out.getvalue()
    assert ImportJob.objects.count() == 1

    write_files(folder, {"eve/1.png": fakes.photo(5)})
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "enrol", kill)
        with pytest.raises(CommandError):
            call_command(*arguments)
    write_files(folder, {"eve/2.png": fakes.photo(5, variation=1)})
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert "5 files: 1 enrolled, 4 already enrolled" in out.getvalue()
    assert sorted(ImportJob.objects.values_list("state", flat=True)) == ["cancelled", "complete", "complete"]


def test_the_command_imports_an_archive_in_place_and_writes_every_result(
    collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "people.zip"
    path.write_bytes(zipped({**PEOPLE, "eve/1.txt": b"x"}).getvalue())
    out = io.StringIO()
    report = tmp_path / "report.json"
    call_command("import_people", str(path), collection="default", json=report, stdout=out)
    written = json.loads(report.read_text())
    assert (written["state"], written["counts"]["enrolled"], written["counts"]["rejected"]) == (
        "complete",
        3,
        1,
    )
    assert [item["path"] for item in written["items"]] == [*PEOPLE, "eve/1.txt"]
    assert written["items"][-1]["problem"]["code"] == "not_an_image"
    assert "eve/1.txt: " in out.getvalue()
    assert path.exists()
    assert not [name for name in stored_files() if name.startswith("imports/")]


def test_the_command_reports_which_argument_is_wrong(collection: Collection, tmp_path: Path) -> None:
    for source, name, message in [
        (str(tmp_path), "nothing", "Collection nothing"),
        (str(tmp_path / "nothing"), "default", f"{tmp_path}/nothing"),
        (str(write_files(tmp_path / "empty", {".DS_Store": b""})), "default", "no photos"),
        (str(write_files(tmp_path, {"x.zip": b"x"}) / "x.zip"), "default", "ZIP"),
    ]:
        with pytest.raises(CommandError, match=message):
            call_command("import_people", source, collection=name)
    write_files(tmp_path / "photos", {**PEOPLE, "people.csv": b"name\nx\n"})
    with pytest.raises(CommandError, match="line 1"):
        call_command("import_people", str(tmp_path / "photos"), collection="default")
