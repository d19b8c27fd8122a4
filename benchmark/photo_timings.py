"""Times the engine with a photo, and compares it with the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from benchmark import sample_photos
from benchmark.baselines import BASELINES
from benchmark.results import BaselineTiming, GroupResult, PhotoResult, Timing
from benchmark.stages import Gallery, StagedIdentification
from benchmark.timing import WARM_UP_ROUNDS, Stopwatch
from people.engines.base import FaceEngine
from people.extraction import Purpose, from_photo


def time_photo(data: bytes, gallery: Gallery, against: Sequence[str], rounds: int) -> PhotoResult:
    """Time an identification and, in every round, the baselines named in `against`."""
    identification = StagedIdentification(data, gallery)
    baselines = {name: (BASELINES[name](), Stopwatch()) for name in against}
    for _ in range(rounds + WARM_UP_ROUNDS):
        identification.run()
        for baseline, stopwatch in baselines.values():
            stopwatch.time(baseline, data)
    engine = identification.engine_timing()
    return PhotoResult(
        faces=identification.faces,
        stages=identification.stage_timings(),
        engine=engine,
        against={name: _with_ratio(watch.timing(), engine) for name, (_, watch) in baselines.items()},
    )


def time_group(people: int, engine: FaceEngine, rounds: int) -> GroupResult:
    """Time the engine with a photo of several people."""
    data = sample_photos.group(people)
    photo = from_photo(data, engine, purpose=Purpose.PROBE)
    return GroupResult(faces=len(photo.faces), **asdict(time_engine(data, engine, rounds)))


def time_engine(data: bytes, engine: FaceEngine, rounds: int) -> Timing:
    """Time the engine with one photo, from its bytes to the probes of all faces."""
    stopwatch = Stopwatch()
    for _ in range(rounds + WARM_UP_ROUNDS):
        stopwatch.time(from_photo, data, engine, purpose=Purpose.PROBE)
    return stopwatch.timing()


def _with_ratio(baseline: Timing, engine: Timing) -> BaselineTiming:
    return BaselineTiming(ratio=baseline.p50_ms / engine.p50_ms, **asdict(baseline))
