"""Fetching files: `fetch_models`, `fetch_samples` and the module that they use, with small catalogues."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from people.engines import registry
from people.engines.fetching import Archives, Entry, Source, fetch, fetch_all
from people.errors import FetchFailed
from people.management.commands.fetch_models import Command

CONTENT = b"weights " * 1000
ROOT = Path(__file__).resolve().parents[2]


def an_entry(*sources: Source, file: str = "model.onnx", content: bytes = CONTENT) -> Entry:
    return Entry(
        name=file.partition(".")[0],
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        licence="MIT",
        sources=sources,
    )


def a_url(path: Path, content: bytes = CONTENT) -> Source:
    path.write_bytes(content)
    return Source(url=path.as_uri())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def progress() -> list[str]:
    """The lines that a fetch reports as its progress."""
    return []


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip installs packages, instead of an index."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def a_wheel(folder: Path, members: dict[str, bytes]) -> None:
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        for name, content in members.items():
            wheel.writestr(name, content)


def a_source_archive(path: Path, content: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("tiny-1.0/a.jpg")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def have_pip_return(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace pip with a program that copies the archive: pip might need a build backend from the network."""
    pip = archive.parent / "python"
    pip.write_text(f'#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\ncp {archive} "$2"\n')
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))


def test_a_file_is_fetched_from_the_first_source_that_has_it(
    tmp_path: Path, target: Path, progress: list[str]
) -> None:
    missing_source = Source(url=(tmp_path / "missing").as_uri())
    fetch_all([an_entry(missing_source, a_url(tmp_path / "source"))], target, progress.append)
    assert (target / "model.onnx").read_bytes() == CONTENT
    assert len(progress) == 4  # the start and the end of each of the two attempts
    assert missing_source.url in progress[0]
    assert "request failed" in progress[1]


@pytest.mark.parametrize("wrong", [b"x" * len(CONTENT), CONTENT[:-1], CONTENT + b"x", b""])
def test_a_file_with_the_wrong_bytes_is_never_kept_and_its_source_is_reported(
    tmp_path: Path, target: Path, progress: list[str], wrong: bytes
) -> None:
    source = a_url(tmp_path / "wrong", wrong)
    with pytest.raises(FetchFailed, match=re.escape(f"{source.url}: wrong file")):
        fetch_all([an_entry(source)], target, progress.append)
    assert list(target.iterdir()) == []


def test_after_a_source_with_the_wrong_bytes_the_next_source_is_tried(
    tmp_path: Path, target: Path, progress: list[str]
) -> None:
    entry = an_entry(a_url(tmp_path / "wrong", b"other"), a_url(tmp_path / "right"))
    fetch_all([entry], target, progress.append)
    assert (target / "model.onnx").read_bytes() == CONTENT


def test_a_file_that_is_already_correct_is_not_fetched_again(
    tmp_path: Path, target: Path, progress: list[str]
) -> None:
    entry = an_entry(a_url(tmp_path / "source"))
    fetch_all([entry], target, progress.append)
    (tmp_path / "source").unlink()
    fetch_all([entry], target, progress.append)
    assert (target / "model.onnx").read_bytes() == CONTENT


def test_a_damaged_file_is_replaced(tmp_path: Path, target: Path, progress: list[str]) -> None:
    target.mkdir()
    (target / "model.onnx").write_bytes(b"x" * len(CONTENT))
    fetch_all([an_entry(a_url(tmp_path / "source"))], target, progress.append)
    assert (target / "model.onnx").read_bytes() == CONTENT


def test_a_failed_fetch_keeps_the_existing_file(tmp_path: Path, target: Path, progress: list[str]) -> None:
    target.mkdir()
    (target / "model.onnx").write_bytes(b"older")
    with pytest.raises(FetchFailed):
        fetch_all([an_entry(a_url(tmp_path / "wrong", b"other"))], target, progress.append)
    assert [path.name for path in target.iterdir()] == ["model.onnx"]
    assert (target / "model.onnx").read_bytes() == b"older"


def test_the_other_files_are_fetched_if_one_is_missing(
    tmp_path: Path, target: Path, progress: list[str]
) -> None:
    missing_entry = an_entry(Source(url=(tmp_path / "missing").as_uri()), file="missing.onnx")
    with pytest.raises(FetchFailed, match=r"missing\.onnx"):
        fetch_all([missing_entry, an_entry(a_url(tmp_path / "source"))], target, progress.append)
    assert (target / "model.onnx").is_file()


def test_a_wheel_is_downloaded_once_for_all_its_members(
    packages: Path, tmp_path: Path, target: Path, progress: list[str]
) -> None:
    a_wheel(packages, {"tiny/a.onnx": CONTENT, "tiny/b.onnx": b"second"})
    sources = [Source(package="tiny==1.0", archive="wheel", member=f"tiny/{name}.onnx") for name in "ab"]
    fetch_all(
        [an_entry(sources[0], file="a.onnx"), an_entry(sources[1], file="b.onnx", content=b"second")],
        target,
        progress.append,
    )
    assert (target / "a.onnx").read_bytes() == CONTENT
    assert (target / "b.onnx").read_bytes() == b"second"
    assert sum(line.startswith("tiny-1.0") for line in progress) == 1


def test_a_missing_package_or_member_is_reported(
    packages: Path, tmp_path: Path, target: Path, progress: list[str]
) -> None:
    a_wheel(packages, {})
    entry = an_entry(
        Source(package="absent==1.0", archive="wheel", member="a"),
        Source(package="tiny==1.0", archive="wheel", member="tiny/absent.onnx"),
    )
    with pytest.raises(FetchFailed) as raised:
        fetch(entry, target, progress.append, archives=Archives(tmp_path, progress.append))
    _, absent_package, absent_member = raised.value.message.splitlines()
    assert absent_package.startswith("  absent==1.0 (wheel): pip download failed: ")
    assert "No matching distribution found" in absent_package
    assert absent_member.startswith("  tiny==1.0 (wheel): ")
    assert "tiny/absent.onnx" in absent_member


def test_members_are_extracted_from_a_source_archive(
    tmp_path: Path, target: Path, progress: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_source_archive(tmp_path / "tiny-1.0.tar.gz", CONTENT)
    have_pip_return(tmp_path / "tiny-1.0.tar.gz", monkeypatch)
    source = Source(package="tiny==1.0", archive="sdist", member="tiny-1.0/a.jpg")
    fetch_all([an_entry(source, file="a.jpg")], target, progress.append)
    assert (target / "a.jpg").read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["changed", "cut"])
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_after_a_damaged_archive_the_next_source_is_tried(
    tmp_path: Path, target: Path, progress: list[str], monkeypatch: pytest.MonkeyPatch, kind: str, damage: str
) -> None:
    content = np.random.default_rng(1).integers(0, 64, 100_000, np.uint8).tobytes()
    archive = tmp_path / "tiny-1.0"
    if kind == "wheel":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr("tiny-1.0/a.jpg", content)
    else:
        a_source_archive(archive, content)
    data = archive.read_bytes()
    middle = len(data) // 2
    archive.write_bytes(
        data[:middle] + (b"\xff" * 1000 + data[middle + 1000 :] if damage == "changed" else b"")
    )
    have_pip_return(archive, monkeypatch)
    source = Source(package="tiny==1.0", archive=kind, member="tiny-1.0/a.jpg")
    fetch_all(
        [an_entry(source, a_url(tmp_path / "right", content), content=content)], target, progress.append
    )
    assert (target / "model.onnx").read_bytes() == content


def test_fetch_models_prints_the_folder_of_the_models(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("fetch_models")
    assert str(settings.FACEREC_MODELS_DIR) in capsys.readouterr().out


def test_the_image_fetches_its_models_using_only_the_files_it_copied_and_the_standard_library(
    settings: Any, tmp_path: Path
) -> None:
    dockerfile = (ROOT / "docker" / "api" / "Dockerfile").read_text()
    stage = dockerfile.partition(" AS models\n")[2].partition("\nFROM ")[0]
    for sources, folder in re.findall(r"^COPY (.+) (\S+)$", stage, re.MULTILINE):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for source in sources.split():
            shutil.copy(ROOT / source, tmp_path / folder)
    (program,) = re.findall(r'^RUN python -c "(.+)"$', stage.replace("\\\n", ""), re.MULTILINE)
    program = program.replace("'/models'", repr(str(settings.FACEREC_MODELS_DIR)))
    process = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = process.stdout.splitlines()  # one for each file, as all of them have been fetched already
    assert [line.partition(":")[0] for line in lines] == [
        entry.file for entry in registry.entries("models").values()
    ]


def test_fetch_models_starts_although_models_are_missing_and_reports_every_source_that_failed(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.FACEREC_MODELS_DIR = tmp_path / "models"
    source = Source(url=(tmp_path / "missing").as_uri())
    monkeypatch.setattr(registry, "entries", lambda part: {"model": an_entry(source)})
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "fetch_models"])
    assert source.url in capsys.readouterr().err


def test_fetch_samples_credits_each_photo(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(samples, tmp_path / "photos")
    call_command("fetch_samples", to=tmp_path / "photos")
    assert "astronaut.png: Eileen Collins. Photo: NASA" in capsys.readouterr().out
