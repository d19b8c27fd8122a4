"""A short run of tests/prove_kills.py; `make prove` has the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove_kills import prove


@pytest.mark.timeout(500)
def test_killing_web_and_worker_loses_no_data_and_restores_no_erased_person(tmp_path: Path) -> None:
    outcome = prove(tmp_path, kills=8, seed=3)
    assert outcome.problems == []
    assert outcome.kills == 8
    assert outcome.enrolments > 0
