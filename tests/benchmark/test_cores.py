from __future__ import annotations

import os

import pytest

from benchmark.cores import pinned_to
from benchmark.errors import BenchmarkError

pytestmark = pytest.mark.once


def test_a_process_is_bound_to_the_cores_until_the_block_ends() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with pinned_to([core]) as cores:
        assert cores == [core]
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_without_cores_a_process_keeps_all_of_its_cores() -> None:
    with pinned_to([]) as cores:
        assert set(cores) == os.sched_getaffinity(0)


def test_a_core_that_does_not_exist_is_reported() -> None:
    with pytest.raises(BenchmarkError, match=r"can't be bound to the cores \[9999\]"), pinned_to([9999]):
        pass
