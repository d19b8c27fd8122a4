from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from people.errors import EvaluationFailed, EvaluationInterrupted, NotAnImage
from people.evaluation import folder as evaluation_folder
from people.evaluation.folder import FolderEvaluation, evaluate_folder
from tests import fakes


def evaluate(folder: Path, *, enrol: int = 1, fresh: bool = False) -> FolderEvaluation:
    return evaluate_folder(
        folder,
        fakes.FakeEngine(threads=1),
        enrol=enrol,
        command="evaluate",
        cache_folder=folder.parent / "cache",
        fresh=fresh,
    )


def test_each_folder_is_a_person_whose_first_photos_by_name_are_enrolled(folder: Path) -> None:
    evaluated = evaluate(folder)
    figures = evaluated.evaluation.figures
    assert evaluated.engine == "fake/1"
    assert (figures.photos, figures.persons, figures.detection_rate.value) == (56, 32, 1)
    assert figures.identification is not None
    assert (
        figures.identification.enrolled,
        figures.identification.probes,
        figures.identification.strangers,
    ) == (12, 24, 20)
    assert figures.identification.rank1.value == 1
    assert (evaluated.unreadable, evaluated.reused) == ([], 0)


def test_a_bystander_is_not_mistaken_for_the_person(folder: Path) -> None:
    (folder / "person-00" / "3.png").write_bytes(fakes.photo(None, 0, None, 1))
    figures = evaluate(folder).evaluation.figures
    assert figures.identification is not None
    assert figures.identification.rank1.value == 1
    assert figures.fte.value == pytest.approx(1 / 57)
    assert figures.fte_with_face_chosen.value == 0


def test_faceless_dark_and_unreadable_photos_are_counted(folder: Path) -> None:
    (folder / "person-00" / "3.png").write_bytes(fakes.photo(None))
    (folder / "person-00" / "4.png").write_bytes(fakes.photo(0, dark=True))
    (folder / "person-00" / "notes.txt").write_text("not a photo")
    evaluated = evaluate(folder)
    figures = evaluated.evaluation.figures
    assert figures.photos == 58
    assert figures.detection_rate.value == pytest.approx(57 / 58)
    assert figures.fte.value == pytest.approx(2 / 58)
    (line,) = evaluated.unreadable
    assert line == f"person-00/notes.txt: {NotAnImage().message}"


def test_hidden_files_and_folders_and_subfolders_are_ignored(folder: Path) -> None:
    (folder / "person-00" / ".DS_Store").write_text("hidden")
    (folder / "person-00" / "subfolder").mkdir()
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "1.png").write_bytes(fakes.photo(99))
    (folder / "notes.txt").write_text("not in a person's folder")
    evaluated = evaluate(folder)
    assert evaluated.evaluation.figures.photos == 56
    assert evaluated.unreadable == []


def test_a_second_run_reuses_the_outcomes_of_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(folder)
    monkeypatch.setattr(fakes.FakeEngine, "detect", None)  # would fail if it were called
    second = evaluate(folder)
    assert (first.reused, second.reused) == (0, 56)
    assert second.evaluation.figures == first.evaluation.figures
    assert second.cache.parent == folder.parent / "cache"


def test_fresh_extracts_every_photo_again(folder: Path) -> None:
    evaluate(folder)
    assert evaluate(folder, fresh=True).reused == 0


def test_an_interrupted_run_keeps_its_outcomes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detect, images = fakes.FakeEngine.detect, []

    def interrupted_detect(self: Any, image: Any) -> Any:
        images.append(image)
        if len(images) == 8:
            raise KeyboardInterrupt
        return detect(self, image)

    monkeypatch.setattr(fakes.FakeEngine, "detect", interrupted_detect)
    with pytest.raises(EvaluationInterrupted, match="Interrupted after 7 of 56 photos"):
        evaluate(folder)
    assert evaluate(folder).reused == 7


def test_progress_lines_are_written_only_if_the_evaluation_takes_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(folder)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(evaluation_folder, "LINE_EVERY_SECONDS", 0)
    evaluate(folder)
    assert "Extracting: 55 of 56 photos\n" in capsys.readouterr().err


def test_a_terminal_shows_a_progress_bar(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    evaluate(folder)
    assert "56/56" in capsys.readouterr().err


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EvaluationFailed, match="nowhere"):
        evaluate(tmp_path / "nowhere")


def test_a_folder_without_subfolders_is_reported(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "1.png").write_bytes(fakes.photo(1))
    with pytest.raises(EvaluationFailed, match=r"person/photo\.jpg"):
        evaluate(tmp_path / "flat")


def test_a_folder_without_readable_photos_is_reported_with_the_first_reasons(tmp_path: Path) -> None:
    person = tmp_path / "texts" / "one"
    person.mkdir(parents=True)
    for number in range(21):
        (person / f"{number:02}.txt").write_text("not a photo")
    with pytest.raises(EvaluationFailed) as raised:
        evaluate(tmp_path / "texts")
    message, *lines = raised.value.message.split("\n  ")
    assert str(tmp_path / "texts") in message
    assert [line.split(":")[0] for line in lines] == [*(f"one/{n:02}.txt" for n in range(20)), "… and 1 more"]
