"""Example results of a run."""

from __future__ import annotations

from benchmark.results import (
    BaselineTiming,
    GroupResult,
    HttpResult,
    LoadTiming,
    PhotoResult,
    Results,
    SearchResult,
    Timing,
    WorkerMemory,
)

TIMING = Timing(p50_ms=20.0, p95_ms=21.0, p99_ms=30.0, per_second=48.0)
LOAD = LoadTiming(**vars(TIMING), statuses={"200": 10, "503": 1234})


def results() -> Results:
    """Return results in which every part was measured."""
    return Results(
        engine="yunet-sface/1",
        cores=[0],
        rounds=50,
        photos={
            "480x720": PhotoResult(
                faces=1,
                stages={"decode": TIMING},
                engine=TIMING,
                against={"plain": BaselineTiming(**vars(TIMING), ratio=2.0)},
            )
        },
        faces={count: GroupResult(**vars(TIMING), faces=int(count)) for count in ("1", "2")},
        search={size: SearchResult(**vars(TIMING), right=1.0) for size in ("1000", "10000")},
        http=HttpResult(
            people=1000,
            workers=1,
            cores=[0],
            load_seconds=0.25,
            ready_seconds=1.5,
            engine_ms=16.0,
            alone=LOAD,
            full=LOAD,
            steady=LOAD,
            rate=20.0,
            seconds=60,
            overload=LOAD,
            clients=64,
            worker=WorkerMemory(rss_mb=200.0, private_mb=100.0),
            growth=0.01,
        ),
    )
