"""The results as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.results import GroupResult, HttpResult, LoadTiming, PhotoResult, SearchResult, Timing

HEADER = f"{'':32}{'p50':>10}{'p95':>10}{'p99':>10}{'a second':>10}"


def photo_rows(size: str, result: PhotoResult) -> Iterator[str]:
    yield _row(f"photo {size}, {result.faces} face(s)", result.engine)
    for stage, timing in result.stages.items():
        yield _row(f"    {stage}", timing)
    for name, baseline in result.against.items():
        yield _row(f"    {name}", baseline, f"{baseline.ratio:.1f} times ours")


def group_row(people: int, result: GroupResult) -> str:
    per_face = f"{result.p50_ms / people:.1f} a face"
    return _row(f"{people} face(s), {result.faces} found", result, per_face)


def search_row(size: int, result: SearchResult) -> str:
    return _row(f"search among {size:,}", result, f"right {result.right:.1%}")


def http_rows(result: HttpResult) -> Iterator[str]:
    yield (
        f"over HTTP, {result.people:,} people, {result.workers} worker(s), ready after "
        f"{result.ready_seconds:.1f} s, {result.load_seconds:.2f} s to read the templates"
    )
    yield _row("    alone", result.alone, f"{result.overhead_ms:.1f} outside the engine")
    yield _row("    at capacity", result.full)
    yield _row(f"    {result.seconds:.0f} s at 70%", result.steady, _failures(result.steady))
    yield _row(f"    {result.clients} clients at once", result.overload, _failures(result.overload))
    yield (
        f"memory: {result.worker.private_mb:.0f} MB private to a worker, {result.worker.rss_mb:.0f} MB with "
        f"what it shares; {result.growth:+.1%} in the {result.seconds:.0f} s"
    )


def _failures(load: LoadTiming) -> str:
    failures = {status: number for status, number in load.statuses.items() if status != "200"}
    return ", ".join(f"{number:,} got {status}" for status, number in failures.items()) or "none refused"


def _row(name: str, timing: Timing, note: str = "") -> str:
    columns = (timing.p50_ms, timing.p95_ms, timing.p99_ms, timing.per_second)
    return (f"{name:32}" + "".join(f"{column:10.2f}" for column in columns) + f"   {note}").rstrip()
