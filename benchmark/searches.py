"""Times searches of the embedded index, and checks their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import uuid4

import numpy as np

from benchmark import random_templates
from benchmark.results import SearchResult
from benchmark.timing import WARM_UP_ROUNDS, Stopwatch
from people.decision import unit
from people.faces import Vectors
from people.indexes.embedded import Matrix

NOISE = 0.35
"""Expected length of the random vector that is added to a template of length 1 to get a probe of the same
person. Their cosine is then about 0.94, as between photos of one person."""
LIMIT = 20
"""How many people each search returns."""


def time_searches(size: int, dimension: int, rounds: int, *, threads: int) -> SearchResult:
    """Time searches among `size` random templates."""
    chunks = list(random_templates.chunks(size, dimension))
    people = [uuid4() for _ in range(size)]
    matrix = Matrix(dimension)
    for number, chunk in enumerate(chunks):
        start = number * random_templates.CHUNK
        matrix.extend(people[start : start + len(chunk)], chunk)
    probes = _probes(chunks, size, rounds + WARM_UP_ROUNDS)
    stopwatch = Stopwatch()
    first_persons = [stopwatch.time(matrix.nearest, probe, LIMIT, threads=threads)[0][0] for probe in probes]
    # after all searches, because it would evict the matrix from the processor's caches
    right = [
        people[_nearest_by_brute_force(chunks, probe)] == person
        for probe, person in zip(probes, first_persons, strict=True)
    ]
    return SearchResult(right=sum(right) / len(right), **asdict(stopwatch.timing()))


def _probes(chunks: Sequence[Vectors], size: int, count: int) -> list[Vectors]:
    """Return `count` probes of randomly chosen people, each (1, d) float32 of unit length."""
    random = np.random.default_rng(2)
    probes = []
    for _ in range(count):
        chunk, row = divmod(int(random.integers(size)), random_templates.CHUNK)
        dimension = chunks[chunk].shape[1]
        noise = random.standard_normal((1, dimension)).astype(np.float32) * (NOISE / dimension**0.5)
        probes.append(unit(chunks[chunk][row] + noise))
    return probes


def _nearest_by_brute_force(chunks: Sequence[Vectors], probe: Vectors) -> int:
    """Return the number of the template with the greatest cosine, computed in float64."""
    best = []
    for number, chunk in enumerate(chunks):
        cosines = chunk.astype(np.float64) @ probe[0].astype(np.float64)
        best.append((float(cosines.max()), number * random_templates.CHUNK + int(cosines.argmax())))
    return max(best)[1]
