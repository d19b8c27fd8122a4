"""`manage.py benchmark`: its figures are there, and it says what it can't do. No time is judged here."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def test_the_figures_of_stages_others_and_searches_are_written(real_engine: None, tmp_path: Path) -> None:
    said, file = StringIO(), tmp_path / "figures.json"
    call_command(
        "benchmark", photos="240x320", search="1000", rounds=1, json=file,
        against=["face_recognition", "plain"], stdout=said,
    )  # fmt: skip
    figures = json.loads(file.read_text())
    photo = figures["photos"]["240x320"]
    assert photo["faces"] == 1
    assert set(photo["stages"]) == {"decode", "detect", "align", "quality", "embed"}
    for times in [*photo["stages"].values(), photo["engine"], figures["search"]["1000"]]:
        assert 0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"]
    for other in photo["against"].values():
        assert other["ratio"] == pytest.approx(other["p50_ms"] / photo["engine"]["p50_ms"])
    assert figures["search"]["1000"]["right"] == 1.0
    assert "times ours" in said.getvalue()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"photos": "480"}, "is no size"),
        ({"photos": "0x5"}, "is no size"),
        ({"search": "many"}, "is no number"),
        ({"rounds": 0}, "must be 1 or more"),
        ({"core": 9999}, "can't be bound"),
    ],
)
def test_what_can_t_be_meant_is_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("benchmark", **options)
