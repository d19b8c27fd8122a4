"""Measures identifications over HTTP: with one client, at capacity, at 70% of capacity, and overloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark import sample_photos
from benchmark.cores import pinned_to
from benchmark.installation import Installation, Service
from benchmark.load import Client
from benchmark.photo_timings import time_engine
from benchmark.results import HttpResult
from benchmark.synthetic_people import COLLECTION, Enrolled
from benchmark.worker_memory import largest_worker
from people.engines.base import FaceEngine

WARM_UP_SECONDS = 3.0
CLIENTS_PER_WORKER = 4
SHARE_OF_CAPACITY = 0.7
CROWD = 64
"""Connections: more than a worker's threads and queue can hold."""
PHOTO = (480, 720)
"""Width and height in pixels of the photo that is sent."""

PrintLine = Callable[[str], object]
"""Prints a line of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """How the service is run and measured."""

    people: int
    workers: int
    seconds: float
    """How long the steady load lasts."""
    database_url: str = ""
    """An empty PostgreSQL database, or an empty string for SQLite in a temporary folder."""


def measure(
    plan: ServicePlan, engine: FaceEngine, *, cores: list[int], rounds: int, print_line: PrintLine
) -> HttpResult:
    """Start an installation on `cores`, measure it, and remove it.

    The client runs on the other cores, if there are any. Raises BenchmarkError if the service doesn't start
    or stops responding.
    """
    photo = sample_photos.portrait(*PHOTO)
    with tempfile.TemporaryDirectory(prefix="facerec-benchmark-") as folder:
        installation = Installation(
            Path(folder), workers=plan.workers, cores=cores, database_url=plan.database_url
        )
        print_line(f"Enrolling {plan.people:,} synthetic people …")
        enrolled = installation.prepare(plan.people)
        with pinned_to(cores):
            engine_ms = time_engine(photo, engine, rounds).p50_ms
        with installation.serving() as service:
            return _measure(plan, service, enrolled, photo, cores, engine_ms, print_line)


def _measure(
    plan: ServicePlan, service: Service, enrolled: Enrolled, photo: bytes, cores: list[int],
    engine_ms: float, print_line: PrintLine,
) -> HttpResult:  # fmt: skip
    client = Client(f"{service.url}/api/v1/collections/{COLLECTION}/identify/", enrolled.api_key, photo)
    clients = CLIENTS_PER_WORKER * plan.workers
    client.send(clients, WARM_UP_SECONDS)
    alone = client.send(1, WARM_UP_SECONDS)
    full = client.send(clients, 2 * WARM_UP_SECONDS)
    client.send(CROWD, WARM_UP_SECONDS)  # after this, every thread has allocated the memory it needs
    before = largest_worker(service.master)
    rate = SHARE_OF_CAPACITY * full.per_second
    print_line(f"{rate:.1f} requests per second for {plan.seconds:.0f} seconds …")
    steady = client.send(CROWD, plan.seconds, rate)
    after = largest_worker(service.master)
    overload = client.send(CROWD, 2 * WARM_UP_SECONDS)
    return HttpResult(
        people=plan.people,
        workers=plan.workers,
        cores=cores,
        load_seconds=enrolled.load_seconds,
        ready_seconds=service.ready_seconds,
        engine_ms=engine_ms,
        alone=alone,
        full=full,
        steady=steady,
        rate=rate,
        seconds=plan.seconds,
        overload=overload,
        clients=CROWD,
        worker=after,
        growth=after.rss_mb / before.rss_mb - 1,
    )
