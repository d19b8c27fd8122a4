"""Timings of photos with the real engine. The tests don't check how long anything takes."""

from __future__ import annotations

import pytest

from benchmark import sample_photos
from benchmark.baselines import BASELINES
from benchmark.photo_timings import time_group, time_photo
from benchmark.results import Timing
from benchmark.stages import STAGES, Gallery
from people.engines import get_engine

pytestmark = pytest.mark.once


def _assert_ordered(timing: Timing) -> None:
    assert 0 < timing.p50_ms <= timing.p95_ms <= timing.p99_ms
    assert timing.per_second > 0


def test_a_photo_is_timed_stage_by_stage_and_against_every_baseline(real_engine: None) -> None:
    data = sample_photos.portrait(240, 320)
    result = time_photo(data, Gallery(get_engine()), list(BASELINES), rounds=1)
    assert result.faces == 1
    assert tuple(result.stages) == STAGES
    for timing in (*result.stages.values(), result.engine, *result.against.values()):
        _assert_ordered(timing)
    assert list(result.against) == list(BASELINES)
    for baseline in result.against.values():
        assert baseline.ratio == pytest.approx(baseline.p50_ms / result.engine.p50_ms)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_finds_the_same_face(real_engine: None, name: str) -> None:
    (vector,) = BASELINES[name]()(sample_photos.portrait(480, 720))
    assert vector.size == 128


def test_the_engine_finds_every_face_of_a_group_photo(real_engine: None) -> None:
    result = time_group(2, get_engine(), rounds=1)
    assert result.faces == 2
    _assert_ordered(result)
