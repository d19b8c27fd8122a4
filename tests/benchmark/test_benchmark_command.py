from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.once


def test_results_are_printed_saved_and_drawn(real_engine: None, tmp_path: Path) -> None:
    output, file, chart = StringIO(), tmp_path / "new" / "results.json", tmp_path / "charts" / "chart.png"
    call_command(
        "benchmark", "--photos", "240x320", "--faces", "2", "--search", "1000", "--rounds", "1",
        "--against", "plain", "--json", str(file), "--chart", str(chart), stdout=output,
    )  # fmt: skip
    assert chart.read_bytes().startswith(b"\x89PNG")
    results = json.loads(file.read_text())
    assert results["engine"] == "yunet-sface/1"
    assert results["photos"]["240x320"]["against"]["plain"]["ratio"] > 0
    assert results["faces"]["2"]["faces"] == 2
    assert results["search"]["1000"]["right"] == 1.0
    assert results["http"] is None
    for text in ("photo 240x320, 1 face(s)", "times ours", "2 face(s), 2 found", "search among 1,000"):
        assert text in output.getvalue()


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--photos", "480", "is not a size"),
        ("--photos", "0x5", "is not a size"),
        ("--search", "many", "is not a number"),
        ("--faces", "0", "is not a number from 1 to 40"),
        ("--faces", "41", "is not a number from 1 to 40"),
        ("--rounds", "0", "is not a number from 1"),
        ("--rounds", "²", "is not a number from 1"),
        ("--workers", "0", "is not a number from 1"),
        ("--seconds", "-1", "is not a number from 1"),
        ("--http", "0", "is not a number from 1"),
        ("--http", "-1", "is not a number from 1"),
        ("--cores", "x", "is not a number"),
        ("--cores", "9999", "can't be bound"),
        ("--chart", "chart.pdf", r"must end in \.svg or \.png"),
        ("--against", "dlib", "invalid choice"),
    ],
)
def test_an_invalid_option_is_refused_before_anything_is_measured(
    option: str, value: str, problem: str
) -> None:
    output = StringIO()
    with pytest.raises(CommandError, match=problem):
        call_command("benchmark", f"{option}={value}", stdout=output)
    assert output.getvalue() == ""
