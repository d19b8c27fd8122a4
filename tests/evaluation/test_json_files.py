from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from people.decision import Calibration
from people.errors import EvaluationFailed
from people.evaluation.figures import evaluate
from people.evaluation.folder import FolderEvaluation
from people.evaluation.json_files import rate_key, write_calibration, write_figures
from tests.evaluation.samples import MANY, outcomes_of


def evaluated(persons: list[int], enrol: int = 1) -> FolderEvaluation:
    return FolderEvaluation(
        engine="fake/1",
        command="manage.py evaluate photos",
        evaluation=evaluate(outcomes_of(persons), enrol),
        unreadable=["person/notes.txt: The file is not a photo."],
        reused=0,
        cache=Path("outcomes.sqlite3"),
    )


def figures_of(evaluated: FolderEvaluation, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "new" / "figures.json"
    write_figures(file, evaluated)
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def shape(content: Any) -> Any:
    """Return the content with every value that isn't an object replaced by an ellipsis."""
    return {key: shape(value) for key, value in content.items()} if isinstance(content, dict) else ...


def test_the_file_has_every_figure_and_its_interval(tmp_path: Path) -> None:
    fmrs, fpirs = dict.fromkeys(["0.01", "0.001", "0.0001", "0.00001"], ...), {"0.1": ..., "0.01": ...}
    identification = {
        "enrol": ..., "enrolled": ..., "probes": ..., "strangers": ..., "rank1": ...,
        "tpir_at_fpir": fpirs, "threshold_at_fpir": fpirs,
    }  # fmt: skip
    identification_intervals = {"rank1": ..., "tpir_at_fpir": fpirs}
    assert shape(figures_of(evaluated(MANY, enrol=2), tmp_path)) == {
        "engine": ..., "command": ..., "photos": ..., "persons": ...,
        "detection_rate": ..., "fte": ..., "fte_with_face_chosen": ...,
        "verification": {
            "genuine_pairs": ..., "impostor_pairs": ..., "tar_at_fmr": fmrs, "threshold_at_fmr": fmrs,
        },
        "identification": identification,
        "comparison": identification,
        "intervals": {
            "detection_rate": ..., "fte": ..., "fte_with_face_chosen": ...,
            "verification": {"tar_at_fmr": fmrs},
            "identification": identification_intervals,
            "comparison": identification_intervals,
        },
        "notes": ...,
        "unreadable": {"count": ..., "photos": ...},
    }  # fmt: skip


def test_figures_are_written_as_they_were_measured(tmp_path: Path) -> None:
    folder_evaluation = evaluated(MANY)
    content, figures = figures_of(folder_evaluation, tmp_path), folder_evaluation.evaluation.figures
    rate = figures.verification.tar_at_fmr[0.01]
    assert rate.interval is not None
    assert content["verification"]["tar_at_fmr"]["0.01"] == rate.value
    assert content["verification"]["threshold_at_fmr"]["0.01"] == rate.threshold
    assert content["intervals"]["verification"]["tar_at_fmr"]["0.01"] == list(rate.interval)
    assert content["unreadable"] == {"count": 1, "photos": folder_evaluation.unreadable}
    assert "comparison" not in content


def test_figures_that_were_not_measured_are_null(tmp_path: Path) -> None:
    content = figures_of(evaluated([0]), tmp_path)
    assert content["identification"] is None
    assert content["intervals"]["identification"] is None
    assert set(content["verification"]["tar_at_fmr"].values()) == {None}


def test_a_calibration_is_read_by_the_service(tmp_path: Path) -> None:
    file = tmp_path / "new" / "fake-1.json"
    folder_evaluation = evaluated(MANY)
    write_calibration(file, folder_evaluation)
    calibration = Calibration.from_file(file)
    assert calibration.engine == "fake/1"
    assert calibration.cosine_at_fmr(0.1) == pytest.approx(folder_evaluation.evaluation.pairs.threshold(0.1))
    measured_on = json.loads(file.read_text())["measured_on"]
    assert measured_on == {
        "photos": len(MANY),
        "persons": 60,
        "impostor_pairs": folder_evaluation.evaluation.pairs.impostor_pairs,
        "command": "manage.py evaluate photos",
    }


def test_too_few_people_give_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(EvaluationFailed, match="at least 50 people"):
        write_calibration(tmp_path / "file.json", evaluated([0, 1]))
    assert not (tmp_path / "file.json").exists()


def test_rates_are_keyed_without_an_exponent() -> None:
    assert [rate_key(rate) for rate in (0.1, 1e-2, 1e-5)] == ["0.1", "0.01", "0.00001"]
