"""A short run of tests/prove_index.py, in a separate process; `make prove` has the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(500)
def test_a_faulty_and_lagging_index_never_affects_responses_and_is_repaired(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.prove_index", "--operations", "80", "--fault", "everything"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    assert "everything" in run.stdout
