from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from people.engines import get_engine
from tests import fakes


@pytest.fixture(autouse=True)
def _empty_cache(settings: Any, tmp_path: Path) -> None:
    settings.FACEREC_VAR_DIR = tmp_path / "var"


def evaluate(*arguments: object) -> str:
    """Run the command and return what it printed."""
    out = io.StringIO()
    call_command("evaluate", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_figures_are_printed_and_written(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "out" / "figures.json"
    printed = evaluate(folder, "--json", file)
    figures = json.loads(file.read_text())
    assert (figures["engine"], figures["photos"], figures["persons"]) == ("fake/1", 56, 32)
    assert figures["command"] == "manage.py evaluate photos --enrol 1"
    assert figures["verification"]["tar_at_fmr"]["0.01"] == 1
    assert figures["verification"]["tar_at_fmr"]["0.00001"] is None
    assert figures["identification"]["rank1"] == 1
    # 20 strangers are too few to measure an FPIR of 0.1
    assert figures["identification"]["tpir_at_fpir"] == {"0.1": None, "0.01": None}
    assert figures["intervals"]["identification"]["rank1"] == [1, 1]
    assert str(tmp_path) not in file.read_text()
    for text in ("fake/1: 56 photos of 32 people", "TAR at FMR 1e-3", "TPIR at FPIR 1%", "100.00%"):
        assert text in printed
    assert printed.endswith(f"\nFigures: {file}\n")


def test_with_several_photos_enrolled_the_results_with_one_are_shown_as_well(folder: Path) -> None:
    printed = evaluate(folder, "--enrol", 2)
    assert "2 photos each of 12 people enrolled; 12 probes" in printed
    assert "1 photo each of 12 people enrolled; 12 probes" in printed


def test_a_second_run_uses_the_cached_outcomes_of_the_first_unless_it_is_fresh(
    folder: Path, tmp_path: Path
) -> None:
    first, second, fresh = evaluate(folder), evaluate(folder), evaluate(folder, "--fresh")
    assert second.startswith("56 of 56 photos were extracted in an earlier run")
    assert str(tmp_path / "var" / "evaluation") in second
    assert second.endswith(first)
    assert fresh == first


def test_an_interrupted_run_exits_with_130(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(get_engine()), "detect", interrupt)
    with pytest.raises(CommandError, match="Interrupted after 0 of 56 photos") as raised:
        evaluate(folder)
    assert raised.value.returncode == 130


def test_unreadable_photos_are_listed(folder: Path) -> None:
    (folder / "person-00" / "notes.txt").write_text("not a photo")
    printed = evaluate(folder)
    assert printed.startswith("1 photo couldn't be read and is left out:\n  person-00/notes.txt: ")


def test_the_plots_are_written(folder: Path, tmp_path: Path) -> None:
    printed = evaluate(folder, "--plots", tmp_path / "plots")
    page = tmp_path / "plots" / "index.html"
    assert printed.endswith(f"\nPlots: {page}\n")
    assert "TPIR at FPIR 1%" in page.read_text()


def test_a_calibration_is_written(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "fake-1.json"
    printed = evaluate(folder, "--calibration", file)
    assert printed.endswith(f"\nCalibration: {file}\n")
    content = json.loads(file.read_text())
    assert content["engine"] == "fake/1"
    assert content["measured_on"]["persons"] == 32
    assert str(tmp_path) not in file.read_text()


def test_too_few_people_give_no_calibration(tmp_path: Path) -> None:
    (tmp_path / "few" / "one").mkdir(parents=True)
    (tmp_path / "few" / "one" / "1.png").write_bytes(fakes.photo(1))
    with pytest.raises(CommandError, match="at least 50 people"):
        evaluate(tmp_path / "few", "--calibration", tmp_path / "file.json")
    assert not (tmp_path / "file.json").exists()


def test_a_single_person_is_evaluated_with_notes_about_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "few" / "one").mkdir(parents=True)
    (tmp_path / "few" / "one" / "1.png").write_bytes(fakes.photo(1))
    printed = evaluate(tmp_path / "few", "--plots", tmp_path / "plots")
    assert "Note: Identification needs people with 2 or more photos." in printed


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        evaluate(tmp_path / "nowhere")


@pytest.mark.parametrize("option", [("--enrol", "0"), ("--engine", "nothing.Here")])
def test_an_invalid_option_is_reported(folder: Path, option: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=r"1 or more|can't be built"):
        evaluate(folder, *option)
