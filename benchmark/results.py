"""The results of a run. `--json` writes them to a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Percentiles in milliseconds, and the number of runs completed per second."""

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
    """How many faces the engine detected."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(Timing):
    right: float
    """Share of searches (0–1) that returned the same person as a brute-force search in float64."""


@dataclass(frozen=True, kw_only=True)
class LoadTiming(Timing):
    """The requests with a 200 response. `statuses` counts all responses by status."""

    statuses: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class WorkerMemory:
    """The memory of one worker process in megabytes. `private_mb` is not shared with any other process."""

    rss_mb: float
    private_mb: float


@dataclass(frozen=True, kw_only=True)
class HttpResult:
    """Identifications over HTTP."""

    people: int
    workers: int
    cores: list[int]
    load_seconds: float
    """Time to read all templates from the database."""
    ready_seconds: float
    """Time from the start of gunicorn until /ready first reports that the service is ready."""
    engine_ms: float
    """The engine's median time for the same photo on the same cores."""
    alone: LoadTiming
    """One client that sends one request after another."""
    full: LoadTiming
    """As many requests as the service can process."""
    steady: LoadTiming
    """`rate` requests per second for `seconds`."""
    rate: float
    seconds: float
    overload: LoadTiming
    """`clients` clients that all send as fast as they can."""
    clients: int
    worker: WorkerMemory
    """The largest worker, after the steady load."""
    growth: float
    """The relative growth of its rss_mb during the steady load; 0.01 is 1%."""

    @property
    def overhead_ms(self) -> float:
        """The part of a request's median time that isn't spent in the engine."""
        return self.alone.p50_ms - self.engine_ms


@dataclass(kw_only=True)
class Results:
    """All results of one run. Parts that weren't measured are empty."""

    engine: str
    cores: list[int]
    rounds: int
    photos: dict[str, PhotoResult] = field(default_factory=dict)
    """By size, such as 480x720."""
    faces: dict[str, GroupResult] = field(default_factory=dict)
    """By number of people in the photo."""
    search: dict[str, SearchResult] = field(default_factory=dict)
    """By size of the collection."""
    http: HttpResult | None = None

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
