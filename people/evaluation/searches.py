"""Open-set identification: who is enrolled, who searches, and what the searches find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from people.decision import mean_template
from people.evaluation.outcomes import Flags, Floats, Labels, Outcomes
from people.evaluation.scores import cosine_blocks


@dataclass(frozen=True, slots=True)
class Split:
    """Who is enrolled and who searches, as indexes of photos."""

    enrolled: dict[int, list[int]]
    """The photos that make each enrolled person's template."""
    probes: list[int]
    """The enrolled people's other photos."""
    strangers: list[int]
    """The photos of people who have only one."""


def split(outcomes: Outcomes, enrol: int) -> Split:
    """Enrol the first `enrol` photos of each person who has more; the person's other photos are probes.

    A photo without a face is never enrolled: the person's next photo with a face takes its place.
    People who lack such a photo take no part. Neither do people with 2 … `enrol` photos, so that
    the strangers, and with them the thresholds, are the same whatever `enrol` is.
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
    """What the searches of an open-set identification found."""

    right: Flags
    """(p,) whether the best candidate of each known probe is the right person."""
    best: Floats
    """(p,) the best candidate's cosine; -inf for a photo without a face."""
    person: Labels
    """(p,) the person each probe shows."""
    strangers: Floats
    """(s,) the best cosine each stranger reaches; -inf for a photo without a face."""

    @property
    def rank1(self) -> float:
        """The share of the known probes whose best candidate is right, whatever its score."""
        return float(self.right.mean())

    def threshold(self, fpir: float) -> float:
        """Return the least score that at most `fpir` of the strangers exceed."""
        return float(exceeded_by(self.strangers, fpir))

    def tpir(self, threshold: float) -> float:
        """Return the share of the known probes whose best candidate is right and above `threshold`."""
        return float((self.right & (self.best > threshold)).mean())

    def det(self) -> tuple[Floats, Floats]:
        """Return (FPIR, FNIR) at each stranger's score, FPIR falling."""
        thresholds = np.sort(self.strangers[np.isfinite(self.strangers)])
        fpir = (len(thresholds) - 1 - np.arange(len(thresholds))) / max(len(self.strangers), 1)
        found = np.sort(self.best[self.right])
        fnir = 1 - (len(found) - np.searchsorted(found, thresholds, side="right")) / len(self.right)
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
            places = cosines.argmax(axis=1)
            candidates[rows], best[rows] = persons[places], cosines[np.arange(len(cosines)), places]
        faceless = ~outcomes.face_found[photos]
        candidates[faceless], best[faceless] = -1, -np.inf
        return candidates, best

    candidates, best = best_candidates(parts.probes)
    shown = outcomes.persons[parts.probes]
    _, strangers = best_candidates(parts.strangers)
    return Searches(candidates == shown, best, shown, strangers)


def exceeded_by(scores: Floats, rate: float) -> Floats:
    """Return, along the last axis, the least score that at most `rate` of the scores exceed."""
    count = scores.shape[-1]
    place = max(count - 1 - int(rate * count + 1e-9), 0)
    least: Floats = np.partition(scores, place, axis=-1)[..., place]
    return least
