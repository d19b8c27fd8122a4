from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import chart
from benchmark.results import GroupResult
from tests.benchmark.examples import TIMING, results

pytestmark = pytest.mark.once

STARTS = {".svg": b"<?xml", ".png": b"\x89PNG"}


@pytest.mark.parametrize("suffix", chart.SUFFIXES)
@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / "new" / f"b{suffix}"
    chart.draw(results(), first)
    chart.draw(results(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(STARTS[suffix])


@pytest.mark.slow
def test_other_results_give_another_chart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    slower = replace(TIMING, p50_ms=25.0)
    chart.draw(results(), first)
    chart.draw(replace(results(), faces={"1": GroupResult(**vars(slower), faces=1)}), second)
    assert first.read_bytes() != second.read_bytes()


def test_only_what_was_measured_gets_a_panel(tmp_path: Path) -> None:
    whole, part, nothing = tmp_path / "whole.svg", tmp_path / "part.svg", tmp_path / "nothing.svg"
    chart.draw(results(), whole)
    chart.draw(replace(results(), http=None, faces={}, photos={}), part)
    chart.draw(replace(results(), http=None, faces={}, photos={}, search={}), nothing)
    panels = [path.read_text().count('id="axes_') for path in (whole, part, nothing)]
    assert panels == [4, 1, 0]
