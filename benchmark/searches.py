"""Searches among synthetic templates, as the embedded index makes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import numpy as np

from benchmark import synthetic
from benchmark.timing import WARM_UP, Times
from people.decision import unit
from people.engines.base import Vectors
from people.indexes.embedded import Matrix

ASIDE = 0.35
"""Standard deviation of the noise, in lengths of the vector, that turns a template into a probe of the
same person: cosines of about 0.94, as of one person's photos."""


def search(size: int, dimension: int, rounds: int, *, threads: int) -> dict[str, Any]:
    """Return the figures of searches among `size` synthetic templates, and the share of right answers.

    Right is whom a search by force in double precision finds.
    """
    random = np.random.default_rng(2)
    matrix, people = Matrix(dimension), [uuid4() for _ in range(size)]
    chunks = list(synthetic.templates(size, dimension))
    at = 0
    for chunk in chunks:
        matrix.extend(people[at : at + len(chunk)], chunk)
        at += len(chunk)
    times = Times()
    found: list[tuple[Vectors, UUID]] = []
    for _ in range(rounds + WARM_UP):
        wanted = divmod(int(random.integers(size)), synthetic.AT_ONCE)
        noise = random.standard_normal((1, dimension)).astype(np.float32) * (ASIDE / dimension**0.5)
        probe: Vectors = unit(chunks[wanted[0]][wanted[1]] + noise)
        ((nearest, *_),) = times.of(matrix.nearest, probe, 20, threads=threads)
        found.append((probe, nearest))
    # apart from the searches, whose caches it would empty
    right = sum(people[_nearest_by_force(chunks, probe)] == nearest for probe, nearest in found)
    return {**times.milliseconds(), "right": right / len(found)}


def _nearest_by_force(chunks: list[Vectors], probe: Vectors) -> int:
    wide = probe[0].astype(np.float64)
    best = []
    for number, chunk in enumerate(chunks):
        cosines = chunk.astype(np.float64) @ wide
        best.append((float(cosines.max()), number * synthetic.AT_ONCE + int(cosines.argmax())))
    return max(best)[1]
