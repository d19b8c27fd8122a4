"""The short version of `make prove-import`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove_import import prove

pytestmark = pytest.mark.once


def test_an_import_that_is_killed_goes_on_and_enrols_every_photo_once(tmp_path: Path) -> None:
    proof = prove(tmp_path, photos=60, kills=2, seed=1, tell=lambda words: None)
    assert proof.kills == 2
    proof.assert_holds()
