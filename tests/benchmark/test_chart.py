from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import chart
from benchmark.results import GroupResult
from tests.benchmark.examples import TIMING, results

pytestmark = pytest.mark.once

FIRST_BYTES = {".svg": b"<?xml", ".png": b"\x89PNG"}


@pytest.mark.parametrize("suffix", chart.SUFFIXES)
@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / "new" / f"b{suffix}"
    chart.draw(results(), first)
    chart.draw(results(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(FIRST_BYTES[suffix])


@pytest.mark.slow
def test_different_results_give_a_different_chart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    slower = replace(TIMING, p50_ms=25.0)
    chart.draw(results(), first)
    chart.draw(replace(results(), faces={"1": GroupResult(**vars(slower), faces=1)}), second)
    assert first.read_bytes() != second.read_bytes()


def test_each_measured_part_gets_a_panel_and_no_other_part_does(tmp_path: Path) -> None:
    all_parts, one_part, no_part = tmp_path / "all.svg", tmp_path / "one.svg", tmp_path / "none.svg"
    chart.draw(results(), all_parts)
    chart.draw(replace(results(), http=None, faces={}, photos={}), one_part)
    chart.draw(replace(results(), http=None, faces={}, photos={}, search={}), no_part)
    panels = [path.read_text().count('id="axes_') for path in (all_parts, one_part, no_part)]
    assert panels == [4, 1, 0]
