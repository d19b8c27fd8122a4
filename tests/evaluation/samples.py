"""Synthetic outcomes and scores, without photos."""

from __future__ import annotations

import numpy as np

from people.decision import unit
from people.evaluation.outcomes import Outcomes
from people.evaluation.scores import PairScores

MANY = [person for person in range(60) for _ in range(1 if person % 2 else 2 + person % 7)]
"""The person each photo shows: 30 people with two photos or more, and 30 strangers with one."""


def outcomes_of(persons: list[int], dimension: int = 16) -> Outcomes:
    """Return outcomes of photos of `persons`, whose templates distinguish them usually, but not always."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((max(persons) + 1, dimension))
    vectors = centres[persons] + 0.9 * random.standard_normal((len(persons), dimension))
    probes = vectors + 0.1 * random.standard_normal(vectors.shape)
    return Outcomes(
        unit(vectors.astype(np.float32)),
        unit(probes.astype(np.float32)),
        face_found=np.ones(len(persons), dtype=bool),
        refused=np.zeros(len(persons), dtype=bool),
        several_faces=np.zeros(len(persons), dtype=bool),
        persons=np.array(persons, dtype=np.int64),
    )


def pairs_of(genuine: list[float], impostor: list[float]) -> PairScores:
    """Return pairs with these scores. All genuine pairs are of the same person."""
    bins = np.zeros(200_000, dtype=np.int64)
    for score in impostor:
        bins[int((score + 1) * 100_000)] += 1
    return PairScores(np.array(genuine), np.zeros(len(genuine), dtype=np.int64), bins)
