from __future__ import annotations

from pathlib import Path

import pytest

from tests import fakes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve people with three photos each, and twenty strangers."""
    folder = tmp_path / "photos"
    for seed in range(32):
        person = folder / f"person-{seed:02}"
        person.mkdir(parents=True)
        for number in range(3 if seed < 12 else 1):
            (person / f"{number}.png").write_bytes(fakes.photo(seed, variation=number))
    return folder
