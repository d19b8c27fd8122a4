from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from people.decision import Calibration
from people.engines import get_engine
from tests import fakes


@pytest.fixture(autouse=True)
def _own_cache(settings: Any, tmp_path: Path) -> None:
    settings.FACEREC_VAR_DIR = tmp_path / "var"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve people with three photos each, and twenty strangers."""
    folder = tmp_path / "photos"
    for seed in range(32):
        person = folder / f"person-{seed:02}"
        person.mkdir(parents=True)
        for number in range(3 if seed < 12 else 1):
            (person / f"{number}.png").write_bytes(fakes.photo(seed, variation=number))
    return folder


def evaluate(*words: object) -> str:
    out = io.StringIO()
    call_command("evaluate", *map(str, words), stdout=out)
    return out.getvalue()


def test_the_figures_are_printed_and_written(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "out" / "figures.json"
    printed = evaluate(folder, "--json", file)
    figures = json.loads(file.read_text())
    assert (figures["engine"], figures["photos"], figures["persons"]) == ("fake/1", 56, 32)
    assert figures["detection_rate"] == 1
    assert figures["verification"]["tar_at_fmr"]["0.01"] == 1
    assert figures["verification"]["tar_at_fmr"]["0.00001"] is None
    found = figures["identification"]
    assert (found["enrolled"], found["probes"], found["strangers"]) == (12, 24, 20)
    assert found["rank1"] == 1
    assert found["tpir_at_fpir"] == {"0.1": None, "0.01": None}  # 20 strangers say nothing of 1 in 10
    assert figures["intervals"]["identification"]["rank1"] == [1, 1]
    assert "comparison" not in figures
    assert str(tmp_path) not in file.read_text()
    for words in ("fake/1: 56 photos of 32 people", "TAR at FMR 1e-3", "TPIR at FPIR 1 %", "100.00 %"):
        assert words in printed


def test_with_more_enrolled_the_same_people_are_shown_with_one(folder: Path) -> None:
    printed = evaluate(folder, "--enrol", 2)
    assert "2 photos each of 12 people enrolled; 12 probes" in printed
    assert "1 photo each of 12 people enrolled; 12 probes" in printed


def test_a_second_run_takes_the_photos_from_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(folder)
    monkeypatch.setattr(type(get_engine()), "detect", None)  # would fail if it were called
    second = evaluate(folder)
    assert "earlier run" not in first
    assert second.startswith("56 of 56 photos were extracted in an earlier run")
    assert second.endswith(first)


def test_fresh_extracts_every_photo_again(folder: Path) -> None:
    evaluate(folder)
    assert "earlier run" not in evaluate(folder, "--fresh")


def test_an_interrupted_run_keeps_what_it_did(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = type(get_engine())
    detect, seen = engine.detect, []

    def interrupted(self: Any, image: Any) -> Any:
        seen.append(image)
        if len(seen) == 8:
            raise KeyboardInterrupt
        return detect(self, image)

    monkeypatch.setattr(engine, "detect", interrupted)
    with pytest.raises(CommandError, match="Interrupted after 7 of 56 photos") as raised:
        evaluate(folder)
    assert raised.value.returncode == 130
    assert "7 of 56 photos were extracted in an earlier run" in evaluate(folder)


def test_faceless_dark_and_unreadable_photos_are_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "person-00" / "3.png").write_bytes(fakes.photo(None))
    (folder / "person-00" / "4.png").write_bytes(fakes.photo(0, dark=True))
    (folder / "person-00" / "notes.txt").write_text("not a photo")
    (folder / "person-00" / ".DS_Store").write_text("not looked at")
    file = tmp_path / "figures.json"
    printed = evaluate(folder, "--json", file)
    figures = json.loads(file.read_text())
    assert figures["photos"] == 58
    assert figures["detection_rate"] == pytest.approx(57 / 58)
    assert figures["fte"] == pytest.approx(2 / 58)
    assert figures["unreadable"]["count"] == 1
    assert "1 photo couldn't be read" in printed
    assert "person-00/notes.txt" in printed


def test_a_photo_of_several_is_refused_until_the_face_is_chosen(folder: Path, tmp_path: Path) -> None:
    (folder / "person-00" / "3.png").write_bytes(fakes.photo(None, 0, None, 1))
    file = tmp_path / "figures.json"
    evaluate(folder, "--json", file)
    figures = json.loads(file.read_text())
    assert figures["fte"] == pytest.approx(1 / 57)
    assert figures["fte_with_face_chosen"] == 0


def test_the_kept_templates_are_private_and_nothing_is_said_where_nobody_watches(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(folder)
    kept = tmp_path / "var" / "evaluation"
    assert kept.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in kept.iterdir())
    assert capsys.readouterr().err == ""


def test_a_long_run_tells_how_far_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("people.management.commands.evaluate.LINE_EVERY_SECONDS", 0)
    evaluate(folder)
    assert "Extracting: 55 of 56 photos\n" in capsys.readouterr().err


def test_a_bystander_is_not_taken_for_the_subject(folder: Path) -> None:
    (folder / "person-00" / "3.png").write_bytes(fakes.photo(None, 0, None, 1))
    assert "Rank 1" in (printed := evaluate(folder))
    assert printed.split("Rank 1")[1].split()[0] == "100.00"


def test_the_plots_are_one_page_that_needs_nothing_else(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, "--plots", tmp_path / "plots")
    page = (tmp_path / "plots" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "TPIR at FPIR 1 %" in page
    assert "http" not in page
    for name in ("det.png", "scores.png"):
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_a_calibration_is_read_by_the_service(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "fake-1.json"
    evaluate(folder, "--calibration", file)
    calibration = Calibration.from_file(file)
    assert calibration.engine == "fake/1"
    assert calibration.cosine_at_fmr(0.1) == pytest.approx(0.16, abs=0.05)
    assert str(tmp_path) not in file.read_text()
    assert json.loads(file.read_text())["measured_on"]["persons"] == 32


def test_too_few_people_give_no_calibration(tmp_path: Path) -> None:
    (tmp_path / "few" / "one").mkdir(parents=True)
    (tmp_path / "few" / "one" / "1.png").write_bytes(fakes.photo(1))
    with pytest.raises(CommandError, match="at least 50 people"):
        evaluate(tmp_path / "few", "--calibration", tmp_path / "file.json")
    assert not (tmp_path / "file.json").exists()


def test_a_single_person_is_evaluated_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "few" / "one").mkdir(parents=True)
    (tmp_path / "few" / "one" / "1.png").write_bytes(fakes.photo(1))
    printed = evaluate(tmp_path / "few", "--plots", tmp_path / "plots")
    assert "Note: Identification needs people with 2 photos or more." in printed


def test_a_folder_that_is_missing_or_flat_or_without_photos_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no folder"):
        evaluate(tmp_path / "nowhere")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "1.png").write_bytes(fakes.photo(1))
    with pytest.raises(CommandError, match="folder of their own"):
        evaluate(tmp_path / "flat")
    (tmp_path / "texts" / "one").mkdir(parents=True)
    (tmp_path / "texts" / "one" / "a.txt").write_text("no photo")
    with pytest.raises(CommandError, match="could be read"):
        evaluate(tmp_path / "texts")


@pytest.mark.parametrize("words", [("--enrol", "0"), ("--engine", "nothing.Here")])
def test_a_wrong_option_is_explained(folder: Path, words: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=r"1 or more|can't be built"):
        evaluate(folder, *words)
