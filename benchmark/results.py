"""What a run measured; as JSON, the file that `--json` writes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Percentiles in milliseconds, and how many runs were completed in a second."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float


@dataclass(frozen=True, kw_only=True)
class BaselineTiming(Timing):
    ratio: float
    """This median divided by the engine's: how many times as long the baseline takes."""


@dataclass(frozen=True, kw_only=True)
class PhotoResult:
    """One photo, from the file's bytes to the probes of all its faces."""

    faces: int
    stages: dict[str, Timing]
    engine: Timing
    against: dict[str, BaselineTiming]


@dataclass(frozen=True, kw_only=True)
class GroupResult(Timing):
    """A photo of several people."""

    faces: int
    """How many the engine detected."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(Timing):
    right: float
    """Share of searches (0–1) that returned the same person as a brute-force search in float64."""


@dataclass(frozen=True, kw_only=True)
class LoadTiming(Timing):
    """Requests answered with 200. `statuses` counts all answers by status."""

    statuses: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class WorkerMemory:
    """The memory of one worker process in megabytes; `private_mb` is what it shares with no other process."""

    rss_mb: float
    private_mb: float


@dataclass(frozen=True, kw_only=True)
class HttpResult:
    """Identifications over HTTP."""

    people: int
    workers: int
    cores: list[int]
    load_seconds: float
    """To read all templates from the database."""
    ready_seconds: float
    """From the start of gunicorn to the first positive answer of /ready."""
    engine_ms: float
    """Median time of the engine for the same photo on the same cores."""
    alone: LoadTiming
    """One client that sends one request after another."""
    full: LoadTiming
    """As many requests as the service can answer."""
    steady: LoadTiming
    """`rate` requests a second for `seconds`."""
    rate: float
    seconds: float
    overload: LoadTiming
    """`clients` that all send as fast as they can."""
    clients: int
    worker: WorkerMemory
    """The largest worker, after the steady load."""
    growth: float
    """Of its rss_mb during the steady load; 0.01 is 1 %."""

    @property
    def overhead_ms(self) -> float:
        """Median time of a request that the engine doesn't account for."""
        return self.alone.p50_ms - self.engine_ms


@dataclass(kw_only=True)
class Results:
    """Everything that one run measured. Parts that were not asked for are empty."""

    engine: str
    cores: list[int]
    rounds: int
    photos: dict[str, PhotoResult] = field(default_factory=dict)
    """By size, as 480x720."""
    faces: dict[str, GroupResult] = field(default_factory=dict)
    """By number of people in the photo."""
    search: dict[str, SearchResult] = field(default_factory=dict)
    """By size of the collection."""
    http: HttpResult | None = None

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
