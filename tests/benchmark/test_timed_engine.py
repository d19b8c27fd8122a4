from __future__ import annotations

import numpy as np
import pytest

from benchmark.timed_engine import STEPS, TimedEngine
from people import photos
from people.engines import engine_id
from tests import fakes

pytestmark = pytest.mark.once


def test_a_timed_engine_returns_the_results_of_its_engine() -> None:
    engine = fakes.FakeEngine(threads=1)
    timed = TimedEngine(engine)
    image = photos.decode(fakes.photo(1, 2))
    (face, *_) = timed.detect(image)
    assert timed.detect(image) == engine.detect(image)
    assert np.array_equal(timed.align(image, face), engine.align(image, face))
    chips = [engine.align(image, face)]
    assert np.array_equal(timed.embed(chips), engine.embed(chips))
    assert (engine_id(timed), timed.dimension, timed.sure_confidence, timed.calibration) == (
        engine_id(engine), engine.dimension, engine.sure_confidence, engine.calibration,
    )  # fmt: skip


def test_the_seconds_of_each_step_add_up() -> None:
    timed = TimedEngine(fakes.FakeEngine(threads=1))
    assert timed.seconds == dict.fromkeys(STEPS, 0.0)
    image = photos.decode(fakes.photo(1))
    timed.detect(image)
    first = timed.seconds["detect"]
    timed.detect(image)
    assert timed.seconds["detect"] > first > 0
    assert timed.seconds["align"] == timed.seconds["embed"] == 0
