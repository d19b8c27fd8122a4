"""Runs a plan of measurements and returns the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from benchmark import sample_photos, table
from benchmark.cores import pinned_to
from benchmark.photo_timings import time_group, time_photo
from benchmark.results import Results
from benchmark.searches import time_searches
from benchmark.service import PrintLine, ServicePlan, measure
from benchmark.stages import Gallery
from people.engines import engine_id, get_engine
from people.engines.base import FaceEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    photo_sizes: Sequence[tuple[int, int]]
    """Widths and heights in pixels."""
    group_sizes: Sequence[int]
    """Numbers of people in one photo."""
    collection_sizes: Sequence[int]
    """Numbers of people to search among."""
    against: Sequence[str]
    """Names of baselines."""
    rounds: int
    """Runs of each photo and search, after the warm-up."""
    cores: Sequence[int]
    """Core numbers. If it is empty, all cores that are available to this process."""
    service: ServicePlan | None


def run(plan: Plan, print_line: PrintLine) -> Results:
    """Measure everything in the plan, and print each result as soon as it is available.

    Raises BenchmarkError.
    """
    with pinned_to(plan.cores) as cores:
        engine = get_engine()
        results = Results(engine=engine_id(engine), cores=cores, rounds=plan.rounds)
        print_line(f"Engine {results.engine} on cores {cores}; milliseconds")
        print_line(table.HEADER)
        _photos(plan, engine, results, print_line)
        _groups(plan, engine, results, print_line)
        _searches(plan, engine, results, print_line)
    if plan.service:
        results.http = measure(plan.service, engine, cores=cores, rounds=plan.rounds, print_line=print_line)
        for row in table.http_rows(results.http):
            print_line(row)
    return results


def _photos(plan: Plan, engine: FaceEngine, results: Results, print_line: PrintLine) -> None:
    if not plan.photo_sizes:
        return
    gallery = Gallery(engine)
    for width, height in plan.photo_sizes:
        data = sample_photos.portrait(width, height)
        result = time_photo(data, gallery, plan.against, plan.rounds)
        results.photos[f"{width}x{height}"] = result
        for row in table.photo_rows(f"{width}x{height}", result):
            print_line(row)


def _groups(plan: Plan, engine: FaceEngine, results: Results, print_line: PrintLine) -> None:
    for people in plan.group_sizes:
        result = time_group(people, engine, plan.rounds)
        results.faces[str(people)] = result
        print_line(table.group_row(people, result))


def _searches(plan: Plan, engine: FaceEngine, results: Results, print_line: PrintLine) -> None:
    for size in plan.collection_sizes:
        result = time_searches(size, engine.dimension, plan.rounds, threads=settings.FACEREC_THREADS)
        results.search[str(size)] = result
        print_line(table.search_row(size, result))
