"""A short run of tests/prove_import.py; `make prove` has the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove_import import prove

pytestmark = pytest.mark.once


def test_an_import_that_is_killed_resumes_and_enrols_every_photo_once(tmp_path: Path) -> None:
    proof = prove(tmp_path, photos=60, kills=2, seed=1, report=lambda line: None)
    assert proof.kills == 2
    proof.assert_holds()
