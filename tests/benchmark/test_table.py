from __future__ import annotations

import pytest

from benchmark import table
from tests.benchmark.examples import LOAD, results

pytestmark = pytest.mark.once


def test_a_row_has_a_column_for_each_heading() -> None:
    row = table.group_row(2, results().faces["2"])
    assert row.split() == [
        "2", "face(s),", "2", "found", "20.00", "21.00", "30.00", "48.00", "10.0", "a", "face",
    ]  # fmt: skip
    ends = [table.HEADER.index(heading) + len(heading) for heading in ("p50", "p95", "p99", "a second")]
    assert [row[:end].split()[-1] for end in ends] == ["20.00", "21.00", "30.00", "48.00"]


def test_a_photo_is_followed_by_its_stages_and_baselines() -> None:
    rows = list(table.photo_rows("480x720", results().photos["480x720"]))
    assert [row.split()[0] for row in rows] == ["photo", "decode", "plain"]
    assert rows[2].endswith("2.0 times ours")


def test_a_search_shows_the_share_of_right_results() -> None:
    row = table.search_row(10_000, results().search["10000"])
    assert row.startswith("search among 10,000 ")
    assert row.endswith("right 100.0%")


def test_a_load_shows_which_errors_the_service_returned() -> None:
    http = results().http
    assert http is not None
    rows = list(table.http_rows(http))
    assert rows[1].endswith("4.0 outside the engine")
    assert rows[4].startswith("    64 clients at once")
    assert rows[4].endswith("1,234 got 503")
    assert LOAD.statuses["503"] == 1234
    assert "100 MB private to a worker" in rows[5]
