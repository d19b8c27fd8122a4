"""Templates of synthetic people: random directions, which are as dissimilar as templates of strangers.

Cosines of random unit vectors of 128 dimensions have a standard deviation of 0.088. Those of strangers in
LFW have one of about 0.1 with SFace.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from people.decision import unit
from people.faces import Vectors

CHUNK = 5_000
"""Vectors per chunk."""


def chunks(count: int, dimension: int, seed: int = 1) -> Iterator[Vectors]:
    """Yield `count` unit vectors in chunks of at most CHUNK, (n, dimension) float32."""
    random = np.random.default_rng(seed)
    for start in range(0, count, CHUNK):
        size = (min(CHUNK, count - start), dimension)
        yield unit(random.standard_normal(size, dtype=np.float32))
