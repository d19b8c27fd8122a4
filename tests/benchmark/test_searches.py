from __future__ import annotations

import pytest

from benchmark import random_templates
from benchmark.searches import time_searches

pytestmark = pytest.mark.once


@pytest.mark.parametrize("size", [1000, random_templates.CHUNK + 1])
def test_every_search_finds_the_nearest_person(size: int) -> None:
    result = time_searches(size, 128, rounds=2, threads=1)
    assert result.right == 1.0
    assert 0 < result.p50_ms <= result.p95_ms <= result.p99_ms
