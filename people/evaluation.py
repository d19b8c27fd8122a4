"""How well an engine detects, verifies and identifies: the metrics of ISO/IEC 19795-1. Pure numpy.

Scores are cosines of unit vectors. Rates are fractions, 0–1. A rate that too few comparisons
support is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from people.decision import mean_template
from people.faces import Box, Vectors

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
"""(n,) int64: which person each photo shows."""

VERIFICATION_FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
CALIBRATION_FMRS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 3e-6)
FPIRS = (1e-1, 1e-2)
LEAST_ABOVE = 10
"""Impostor pairs, or strangers, that must lie above a threshold before its FMR or FPIR is worth
stating: with ten, its standard error is a third of it."""
DRAWS = 1000
SEED = 19795

_BINS = 200_000
"""Of the impostor histogram, over cosines from -1 to 1: each is 1e-5 wide."""
_BLOCK = 1024
"""Photos compared with all others at once: 80 MB of scores for 20,000 photos."""


def subject(boxes: Sequence[Box], width: int, height: int) -> int:
    """Return the index in `boxes` of the face that a photo of `width` × `height` pixels is about.

    It is the one with the greatest (area / largest area) − (distance of its centre from the photo's
    centre / half the width): large and central. So bystanders aren't taken for the person whom the
    photo's folder names. Raises ValueError when there is no box.
    """
    largest = max(box.area for box in boxes) or 1.0

    def prominence(index: int) -> float:
        box = boxes[index]
        across = box.left + box.width / 2 - width / 2
        down = box.top + box.height / 2 - height / 2
        return box.area / largest - float(np.hypot(across, down)) / (width / 2)

    return max(range(len(boxes)), key=prominence)


@dataclass(frozen=True, slots=True)
class PairScores:
    """The scores of all pairs of photos: genuine ones one by one, impostors as a fine histogram.

    A pair matches at a threshold when its score is equal or higher, as in `decision.decide`.
    """

    genuine: Floats
    """(g,) cosines of pairs that show the same person."""
    genuine_person: Labels
    """(g,) the person of each genuine pair."""
    impostor: Labels
    """(200000,) how many pairs of different people fall into each bin of [-1, 1]."""

    @property
    def impostor_pairs(self) -> int:
        return int(self.impostor.sum())

    def threshold(self, fmr: float) -> float | None:
        """Return the lowest bin edge that at most `fmr` of the impostor pairs reach, a cosine.

        None when fewer than LEAST_ABOVE pairs reach it.
        """
        reaching = self._reaching()
        allowed = fmr * self.impostor_pairs + 1e-9  # 0.29 * 100 is a little less than 29
        edge = int(np.argmax(reaching <= allowed))
        return None if reaching[edge] < LEAST_ABOVE else _edge(edge)

    def tar(self, threshold: float) -> float:
        """Return the share of the genuine pairs that reach `threshold`: 1 − FNMR."""
        return float((self.genuine >= threshold).mean())

    def det(self) -> tuple[Floats, Floats]:
        """Return (FMR, FNMR) at up to 2,000 thresholds, FMR falling: the detection error trade-off."""
        reaching = self._reaching()
        steps = np.flatnonzero(np.diff(reaching, prepend=-1))
        steps = steps[reaching[steps] >= LEAST_ABOVE]
        if len(steps) == 0 or len(self.genuine) == 0:
            return np.empty(0), np.empty(0)
        # evenly spaced in log FMR, which is how it is drawn
        wanted = np.geomspace(reaching[steps[0]], reaching[steps[-1]], 2000)
        places = np.searchsorted(-reaching[steps], -wanted).clip(max=len(steps) - 1)
        kept = steps[np.unique(places)]
        fnmr = np.searchsorted(np.sort(self.genuine), kept * 2 / _BINS - 1) / len(self.genuine)
        return reaching[kept] / self.impostor_pairs, fnmr

    def _reaching(self) -> Labels:
        """Return (200001,): how many impostor pairs reach the lower edge of each bin, and 0 at 1."""
        counts: Labels = np.append(np.cumsum(self.impostor[::-1])[::-1], 0)
        return counts


def pair_scores(references: Vectors, probes: Vectors, persons: Labels) -> PairScores:
    """Compare each of (n, d) unit `references` with the probe of every later photo.

    `persons` (n,) says whom the photos show.
    """
    impostor = np.zeros(_BINS, dtype=np.int64)
    genuine, genuine_person = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for start, scores in _blocks(references, probes):
        rows = np.arange(start, start + len(scores))
        later = rows[:, None] < np.arange(len(probes))  # each pair once
        same = persons[rows][:, None] == persons
        own = later & same
        genuine.append(scores[own].astype(np.float64))
        genuine_person.append(persons[rows[np.nonzero(own)[0]]])
        bins = ((scores[later & ~same].astype(np.float64) + 1) * (_BINS / 2)).astype(np.int64)
        impostor += np.bincount(bins.clip(0, _BINS - 1), minlength=_BINS)
    return PairScores(np.concatenate(genuine), np.concatenate(genuine_person), impostor)


def calibration_points(scores: PairScores) -> list[tuple[float, float]]:
    """Return (FMR, cosine) for those of CALIBRATION_FMRS that were measured, cosine strictly rising."""
    points: list[tuple[float, float]] = []
    for fmr in CALIBRATION_FMRS:
        cosine = scores.threshold(fmr)
        if cosine is not None and (not points or cosine > points[-1][1]):
            points.append((fmr, cosine))
    return points


@dataclass(frozen=True, slots=True)
class Split:
    """Who is enrolled and who searches, as indexes of photos."""

    enrolled: dict[int, list[int]]
    """Each enrolled person's photos that make the template."""
    probes: list[int]
    """Photos of enrolled people that were not enrolled."""
    strangers: list[int]
    """The photos of people who have only one."""


def split(photos: Mapping[int, Sequence[int]], enrol: int) -> Split:
    """Enrol the first `enrol` photos of each person who has more; the rest of them are probes.

    `photos` lists each person's photos in order. People with 2 … `enrol` photos take no part, so
    that the strangers, and with them the thresholds, are the same whatever `enrol` is.
    """
    enrolled = {person: list(own[:enrol]) for person, own in photos.items() if len(own) > enrol}
    probes = [index for person in enrolled for index in photos[person][enrol:]]
    strangers = [own[0] for own in photos.values() if len(own) == 1]
    return Split(enrolled, probes, strangers)


@dataclass(frozen=True, slots=True)
class Searches:
    """What the searches of an open-set identification found."""

    right: NDArray[np.bool_]
    """(p,) whether the best candidate of each known probe is the right person."""
    best: Floats
    """(p,) the best candidate's cosine; -inf for a photo without a face."""
    person: Labels
    """(p,) whom each probe shows."""
    strangers: Floats
    """(s,) the best cosine each stranger reaches; -inf for a photo without a face."""

    @property
    def rank1(self) -> float:
        """The share of the known probes whose best candidate is right, whatever its score."""
        return float(self.right.mean())

    def threshold(self, fpir: float) -> float:
        """Return the least score that at most `fpir` of the strangers exceed."""
        return float(_exceeded_by(self.strangers, fpir))

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


def search(sample: Sample, chosen: Split) -> Searches:
    """Search every probe and stranger of `chosen` among the mean templates of the enrolled people.

    Each enrolled photo must have a face.
    """
    names = np.array(list(chosen.enrolled), dtype=np.int64)
    gallery = np.stack([mean_template(sample.references[own]) for own in chosen.enrolled.values()])

    def best(photos: list[int]) -> tuple[Labels, Floats]:
        who, score = np.full(len(photos), -1, dtype=np.int64), np.full(len(photos), -np.inf)
        for start, scores in _blocks(sample.probes[photos], gallery):
            rows = slice(start, start + len(scores))
            candidate = scores.argmax(axis=1)
            who[rows], score[rows] = names[candidate], scores[np.arange(len(scores)), candidate]
        unseen = ~sample.faces[photos]
        who[unseen], score[unseen] = -1, -np.inf
        return who, score

    who, score = best(chosen.probes)
    shown = sample.persons[chosen.probes]
    return Searches(who == shown, score, shown, best(chosen.strangers)[1])


@dataclass(frozen=True, slots=True)
class Sample:
    """What an engine made of a folder of photos: n readable ones, ordered by person and file name."""

    references: Vectors
    """(n, d) unit vectors of the photos' subjects as an enrolment keeps them; anything where no face was
    found."""
    probes: Vectors
    """The same as they are searched for."""
    faces: NDArray[np.bool_]
    """(n,) whether a face was found."""
    refused: NDArray[np.bool_]
    """(n,) whether enrolment would refuse the photo even if told which face is meant: for the quality
    of that face, or for want of one."""
    crowded: NDArray[np.bool_]
    """(n,) whether several faces were found: enrolment refuses these until it is told which one is meant."""
    persons: Labels


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures as JSON, and the scores that they come from, to be drawn."""

    figures: dict[str, Any]
    pairs: PairScores
    searches: Searches | None
    """None when nobody could be enrolled and searched for."""


def evaluate(sample: Sample, enrol: int) -> Evaluation:
    """Return all figures of `sample`, with `enrol` photos a person enrolled for identification.

    Photos without a face enter no pair; they are never enrolled, and a probe without one is a miss.
    """
    seen = np.flatnonzero(sample.faces)
    pairs = pair_scores(sample.references[seen], sample.probes[seen], sample.persons[seen])
    verification, verification_intervals = _verification(pairs)
    figures: dict[str, Any] = {
        "photos": len(sample.faces),
        "persons": len(np.unique(sample.persons)),
        "detection_rate": float(sample.faces.mean()),
        "fte": float((sample.refused | sample.crowded).mean()),
        "fte_with_face_chosen": float(sample.refused.mean()),
        "verification": verification,
        "identification": None,
        "intervals": {
            "detection_rate": share_interval(sample.faces, sample.persons),
            "fte": share_interval(sample.refused | sample.crowded, sample.persons),
            "fte_with_face_chosen": share_interval(sample.refused, sample.persons),
            "verification": verification_intervals,
            "identification": None,
        },
        "notes": [],
    }
    notes: list[str] = figures["notes"]
    if not verification["genuine_pairs"] or not verification["impostor_pairs"]:
        notes.append("Verification needs two people with a face, one of them with two photos.")
    elif None in verification["tar_at_fmr"].values():
        notes.append(f"–: fewer than {LEAST_ABOVE} pairs of different people lie above that threshold.")
    chosen = _split(sample, enrol)
    if not chosen.probes:
        notes.append(f"Identification needs people with {enrol + 1} photos or more.")
        return Evaluation(figures, pairs, None)
    if len(chosen.strangers) * min(FPIRS) < LEAST_ABOVE - 1e-9:
        notes.append(
            f"TPIR at FPIR 1 % needs {round(LEAST_ABOVE / min(FPIRS))} strangers, people with exactly one "
            f"photo, and at FPIR 10 % {round(LEAST_ABOVE / max(FPIRS))}; there are {len(chosen.strangers)}."
        )
    searches = search(sample, chosen)
    found, intervals = _identification(chosen, searches, enrol)
    figures["identification"], figures["intervals"]["identification"] = found, intervals
    if enrol > 1:
        one = replace(chosen, enrolled={person: own[:1] for person, own in chosen.enrolled.items()})
        again = search(sample, one)
        figures["comparison"], figures["intervals"]["comparison"] = _identification(one, again, 1)
    return Evaluation(figures, pairs, searches)


def _split(sample: Sample, enrol: int) -> Split:
    """Split the photos; a person whose first photos lack a face is enrolled with the next that have one."""
    photos: dict[int, list[int]] = {}
    for index in [*np.flatnonzero(sample.faces), *np.flatnonzero(~sample.faces)]:
        photos.setdefault(int(sample.persons[index]), []).append(int(index))
    chosen = split(photos, enrol)
    able = {person: own for person, own in chosen.enrolled.items() if sample.faces[own].all()}
    probes = [index for index in chosen.probes if int(sample.persons[index]) in able]
    return replace(chosen, enrolled=able, probes=probes)


def _verification(pairs: PairScores) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of verification, and their intervals.

    The intervals take the threshold as given: they are of the people whose pairs are genuine.
    """
    tars: dict[str, float | None] = {}
    thresholds: dict[str, float | None] = {}
    intervals: dict[str, Interval | None] = {}
    for fmr in VERIFICATION_FMRS:
        key = rate_key(fmr)
        threshold = pairs.threshold(fmr) if len(pairs.genuine) else None
        thresholds[key], tars[key], intervals[key] = threshold, None, None
        if threshold is not None:
            tars[key] = pairs.tar(threshold)
            intervals[key] = share_interval(pairs.genuine >= threshold, pairs.genuine_person)
    figures = {
        "genuine_pairs": len(pairs.genuine),
        "impostor_pairs": pairs.impostor_pairs,
        "tar_at_fmr": tars,
        "threshold_at_fmr": thresholds,
    }
    return figures, {"tar_at_fmr": intervals}


def _identification(chosen: Split, searches: Searches, enrol: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of identification, and their intervals."""
    tpirs: dict[str, float | None] = {}
    thresholds: dict[str, float | None] = {}
    intervals: dict[str, Interval | None] = {}
    for fpir in FPIRS:
        key = rate_key(fpir)
        tpirs[key], thresholds[key], intervals[key] = None, None, None
        supported = int(fpir * len(searches.strangers) + 1e-9) >= LEAST_ABOVE
        if supported and np.isfinite(searches.strangers).any():
            threshold = searches.threshold(fpir)
            tpirs[key], intervals[key] = searches.tpir(threshold), tpir_interval(searches, fpir)
            thresholds[key] = threshold if np.isfinite(threshold) else None
    figures = {
        "enrol": enrol,
        "enrolled": len(chosen.enrolled),
        "probes": len(chosen.probes),
        "strangers": len(chosen.strangers),
        "rank1": searches.rank1,
        "tpir_at_fpir": tpirs,
        "threshold_at_fpir": thresholds,
    }
    rank1 = share_interval(searches.right, searches.person)
    return figures, {"rank1": rank1, "tpir_at_fpir": intervals}


def rate_key(rate: float) -> str:
    """Return a rate as text without an exponent, as JSON keys it: "0.00001"."""
    return f"{rate:.10f}".rstrip("0")


Interval = tuple[float, float]
"""The 2.5 % and 97.5 % quantiles of a bootstrap."""


def share_interval(hits: NDArray[np.bool_], persons: Labels, draws: int = DRAWS) -> Interval | None:
    """Return the 95 % interval of the mean of `hits` (n,), with `persons` (n,) drawn, not single trials.

    Trials of one person depend on each other (ISO/IEC 19795-1), so whole persons are resampled.
    None without a trial.
    """
    if len(hits) == 0:
        return None
    _, person = np.unique(persons, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(np.random.default_rng(SEED), len(trials), draws)
    return _interval((weights @ np.bincount(person, weights=hits)) / (weights @ trials))


def tpir_interval(searches: Searches, fpir: float, draws: int = DRAWS) -> Interval:
    """Return the 95 % interval of the TPIR at `fpir`: known people and strangers are both drawn.

    The threshold is set anew by each draw's strangers. The gallery stays as it is.
    """
    random = np.random.default_rng(SEED)
    _, person = np.unique(searches.person, return_inverse=True)
    trials = np.bincount(person).astype(np.float64)
    weights = _weights(random, len(trials), draws)
    strangers = searches.strangers
    rates = np.empty(draws)
    for start in range(0, draws, 100):  # so that 100 draws of 10,000 probes are held, not 1000
        some = weights[start : start + 100]
        drawn = strangers[random.integers(0, len(strangers), (len(some), len(strangers)))]
        found = searches.right & (searches.best > _exceeded_by(drawn, fpir)[:, None])
        rates[start : start + 100] = (found * some[:, person]).sum(axis=1) / (some @ trials)
    return _interval(rates)


def _weights(random: np.random.Generator, persons: int, draws: int) -> Floats:
    """Return (draws, persons): how often each person is drawn, out of as many draws as persons."""
    return random.multinomial(persons, np.full(persons, 1 / persons), size=draws).astype(np.float64)


def _interval(rates: Floats) -> Interval:
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def _exceeded_by(scores: Floats, rate: float) -> Floats:
    """Return, along the last axis, the least score that at most `rate` of the scores exceed."""
    count = scores.shape[-1]
    place = max(count - 1 - int(rate * count + 1e-9), 0)
    exceeded: Floats = np.partition(scores, place, axis=-1)[..., place]
    return exceeded


def _edge(index: int) -> float:
    """Return the lower edge of a bin of the impostor histogram, a cosine."""
    return round(index * 2 / _BINS - 1, 5)


def _blocks(one: Vectors, other: Vectors) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the first row and the (≤ 1024, m) cosines of each block of (n, d) `one` with (m, d) `other`."""
    for start in range(0, len(one), _BLOCK):
        yield start, one[start : start + _BLOCK] @ other.T
