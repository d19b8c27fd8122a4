"""Open-set identification: which photos are enrolled, which are probes, and the results of the searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from people.decision import mean_template
from people.evaluation.outcomes import Flags, Floats, Labels, Outcomes
from people.evaluation.scores import cosine_blocks


@dataclass(frozen=True, slots=True)
class Split:
    """Which photos are enrolled and which are searched for, as indexes of photos."""

    enrolled: dict[int, list[int]]
    """The photos enrolled for each person."""
    probes: list[int]
    """The other photos of the enrolled people."""
    strangers: list[int]
    """The photos of people who have only one photo. They are searched for and never enrolled."""


def split(outcomes: Outcomes, enrol: int) -> Split:
    """Enrol the first `enrol` photos of each person who has more; the person's other photos are probes.

    A photo without a face is never enrolled: the person's next photo with a face is enrolled instead.
    People who don't have enough photos with a face are left out. So are people with 2 … `enrol` photos, so
    that the strangers, and hence the thresholds, don't depend on `enrol`.
    """
    photos: dict[int, list[int]] = {}
    for index in [*np.flatnonzero(outcomes.face_found), *np.flatnonzero(~outcomes.face_found)]:
        photos.setdefault(int(outcomes.persons[index]), []).append(int(index))
    enrolled = {
        person: indexes[:enrol]
        for person, indexes in photos.items()
        if len(indexes) > enrol and outcomes.face_found[indexes[:enrol]].all()
    }
    probes = [index for person in enrolled for index in photos[person][enrol:]]
    strangers = [indexes[0] for indexes in photos.values() if len(indexes) == 1]
    return Split(enrolled, probes, strangers)


@dataclass(frozen=True, slots=True)
class Searches:
    """The results of the searches of an open-set identification."""

    is_correct: Flags
    """(p,) whether the best candidate of each enrolled person's probe is that person."""
    best: Floats
    """(p,) the best candidate's cosine; -inf for a photo without a face."""
    person: Labels
    """(p,) the person each probe shows."""
    strangers: Floats
    """(s,) the best candidate's cosine for each stranger; -inf for a photo without a face."""

    @property
    def rank1(self) -> float:
        """The share of the enrolled people's probes whose best candidate is correct, whatever its score."""
        return float(self.is_correct.mean())

    def threshold(self, fpir: float) -> float:
        """Return the least score that at most `fpir` of the strangers exceed."""
        return float(exceeded_by(self.strangers, fpir))

    def tpir(self, threshold: float) -> float:
        """Return the share of enrolled people's probes whose best candidate is right and above it."""
        return float((self.is_correct & (self.best > threshold)).mean())

    def det(self) -> tuple[Floats, Floats]:
        """Return (FPIR, FNIR) at each stranger's score, with falling FPIR."""
        thresholds = np.sort(self.strangers[np.isfinite(self.strangers)])
        fpir = (len(thresholds) - 1 - np.arange(len(thresholds))) / max(len(self.strangers), 1)
        correct = np.sort(self.best[self.is_correct])
        fnir = 1 - (len(correct) - np.searchsorted(correct, thresholds, side="right")) / len(self.is_correct)
        return fpir, fnir


def search(outcomes: Outcomes, parts: Split) -> Searches:
    """Search every probe and stranger of `parts` among the mean templates of the enrolled people.

    Every enrolled photo must have a face.
    """
    persons = np.array(list(parts.enrolled), dtype=np.int64)
    gallery = np.stack([mean_template(outcomes.references[indexes]) for indexes in parts.enrolled.values()])

    def best_candidates(photos: list[int]) -> tuple[Labels, Floats]:
        candidates, best = np.full(len(photos), -1, dtype=np.int64), np.full(len(photos), -np.inf)
        for start, cosines in cosine_blocks(outcomes.probes[photos], gallery):
            rows = slice(start, start + len(cosines))
            columns = cosines.argmax(axis=1)
            candidates[rows], best[rows] = persons[columns], cosines[np.arange(len(cosines)), columns]
        faceless = ~outcomes.face_found[photos]
        candidates[faceless], best[faceless] = -1, -np.inf
        return candidates, best

    candidates, best = best_candidates(parts.probes)
    probe_persons = outcomes.persons[parts.probes]
    _, strangers = best_candidates(parts.strangers)
    return Searches(candidates == probe_persons, best, probe_persons, strangers)


def exceeded_by(scores: Floats, rate: float) -> Floats:
    """Return, along the last axis, the least score that at most `rate` of the scores exceed."""
    count = scores.shape[-1]
    rank = max(count - 1 - int(rate * count + 1e-9), 0)
    least: Floats = np.partition(scores, rank, axis=-1)[..., rank]
    return least
