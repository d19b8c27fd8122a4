"""Measuring the service in a temporary installation. The tests don't check how long anything takes."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import service, table
from benchmark.errors import BenchmarkError
from benchmark.service import ServicePlan, measure
from people.engines import get_engine

pytestmark = pytest.mark.once

PLAN = ServicePlan(people=20, workers=1, seconds=1)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary installations are created in."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that have `folder` in their environment."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has exited, or belongs to another user
            if str(folder).encode() in (process / "environ").read_bytes():
                commands.append((process / "cmdline").read_text())
    return commands


def test_the_service_is_measured_and_then_removed(
    real_engine: None, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WARM_UP_SECONDS", 0.5)
    lines: list[str] = []
    result = measure(PLAN, get_engine(), cores=[0], rounds=1, print_line=lines.append)
    assert lines[0] == "Enrolling 20 synthetic people …"
    assert (result.people, result.workers, result.cores) == (20, 1, [0])
    assert 0 < result.load_seconds < result.ready_seconds
    for load in (result.alone, result.full, result.steady, result.overload):
        assert 0 < load.p50_ms <= load.p99_ms
        assert load.per_second > 0
        assert set(load.statuses) <= {"200", "503"}
    assert result.alone.p50_ms == pytest.approx(result.engine_ms + result.overhead_ms)
    assert 0 < result.worker.private_mb <= result.worker.rss_mb
    assert len(list(table.http_rows(result))) == 6
    assert list(scratch.iterdir()) == []
    assert _processes_of(scratch) == []


def test_an_installation_that_cannot_be_prepared_is_reported_and_removed(
    real_engine: None, scratch: Path
) -> None:
    plan = replace(PLAN, database_url="mysql://127.0.0.1/faces")
    with pytest.raises(BenchmarkError, match="DATABASE_URL"):
        measure(plan, get_engine(), cores=[0], rounds=1, print_line=lambda line: None)
    assert list(scratch.iterdir()) == []
