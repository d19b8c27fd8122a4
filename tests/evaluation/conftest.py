from __future__ import annotations

from pathlib import Path

import pytest

from tests import fakes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the photos of twelve people, three each, and of twenty strangers, one each."""
    folder = tmp_path / "photos"
    for seed in range(32):
        person = folder / f"person-{seed:02}"
        person.mkdir(parents=True)
        for number in range(3 if seed < 12 else 1):
            (person / f"{number}.png").write_bytes(fakes.photo(seed, variation=number))
    return folder
