"""The figures of an evaluation: each rate with its interval and the threshold at which it was measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from people.evaluation.intervals import Interval, share_interval, tpir_interval
from people.evaluation.outcomes import Flags, Labels, Outcomes
from people.evaluation.scores import LEAST_ABOVE, PairScores, pair_scores
from people.evaluation.searches import Searches, Split, search, split

VERIFICATION_FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
FPIRS = (1e-1, 1e-2)


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate, 0–1. All attributes are None if there are too few comparisons for it."""

    value: float | None = None
    interval: Interval | None = None
    threshold: float | None = None
    """The threshold at which it was measured, a cosine. Also None for rates without a threshold."""

    @classmethod
    def of(cls, hits: Flags, persons: Labels, threshold: float | None = None) -> Rate:
        """Return the share of `hits` (n,) that are true, as the trials of `persons` (n,). n must not be 0."""
        return cls(float(hits.mean()), share_interval(hits, persons), threshold)


def rate_text(rate: float) -> str:
    """Return a rate as a percentage, such as 10%, or below 1% as a power of ten, such as 1e-3."""
    return f"{rate * 100:g}%" if rate >= 0.01 else f"1e{round(np.log10(rate))}"


@dataclass(frozen=True, slots=True)
class VerificationFigures:
    genuine_pairs: int
    impostor_pairs: int
    tar_at_fmr: dict[float, Rate]


@dataclass(frozen=True, slots=True)
class IdentificationFigures:
    """`enrol` photos of each of `enrolled` people were enrolled. `probes` and `strangers` count photos."""

    enrol: int
    enrolled: int
    probes: int
    strangers: int
    rank1: Rate
    tpir_at_fpir: dict[float, Rate]


@dataclass(frozen=True, slots=True)
class Figures:
    photos: int
    persons: int
    detection_rate: Rate
    fte: Rate
    """Failure to enrol: the share of the photos that enrolment refuses."""
    fte_with_face_chosen: Rate
    """The same if the client chooses one of several faces."""
    verification: VerificationFigures
    identification: IdentificationFigures | None
    """None if no person has enough photos to be enrolled and searched for."""
    comparison: IdentificationFigures | None
    """The same searches with one enrolled photo per person; None if there are none, or they had only one."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what could not be measured and which photos it would need."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures, and the scores they were computed from, for the plots."""

    figures: Figures
    pairs: PairScores
    searches: Searches | None
    """None if no person has enough photos to be enrolled and searched for."""


def evaluate(outcomes: Outcomes, enrol: int) -> Evaluation:
    """Return all figures of `outcomes`, with `enrol` photos per person enrolled for identification.

    Photos without a face are left out of verification. They are never enrolled, and count as misses if they
    are probes.
    """
    with_face = np.flatnonzero(outcomes.face_found)
    pairs = pair_scores(
        outcomes.references[with_face], outcomes.probes[with_face], outcomes.persons[with_face]
    )
    verification = _verification(pairs)
    parts = split(outcomes, enrol)
    searches = search(outcomes, parts) if parts.probes else None
    comparison = None
    if searches is not None and enrol > 1:
        one_each = replace(parts, enrolled={person: photos[:1] for person, photos in parts.enrolled.items()})
        comparison = _identification(one_each, search(outcomes, one_each), 1)
    persons = outcomes.persons
    figures = Figures(
        photos=len(persons),
        persons=len(np.unique(persons)),
        detection_rate=Rate.of(outcomes.face_found, persons),
        fte=Rate.of(outcomes.refused | outcomes.several_faces, persons),
        fte_with_face_chosen=Rate.of(outcomes.refused, persons),
        verification=verification,
        identification=None if searches is None else _identification(parts, searches, enrol),
        comparison=comparison,
        notes=[*_verification_notes(verification), *_identification_notes(parts, enrol)],
    )
    return Evaluation(figures, pairs, searches)


def _verification(pairs: PairScores) -> VerificationFigures:
    """Return the figures of verification.

    The bootstrap of their intervals draws people with genuine pairs, and doesn't vary the threshold.
    """
    rates: dict[float, Rate] = {}
    for fmr in VERIFICATION_FMRS:
        threshold = pairs.threshold(fmr) if len(pairs.genuine) else None
        if threshold is None:
            rates[fmr] = Rate()
        else:
            rates[fmr] = Rate.of(pairs.genuine >= threshold, pairs.genuine_person, threshold)
    return VerificationFigures(len(pairs.genuine), pairs.impostor_pairs, rates)


def _identification(parts: Split, searches: Searches, enrol: int) -> IdentificationFigures:
    rates: dict[float, Rate] = {}
    for fpir in FPIRS:
        enough_strangers = int(fpir * len(searches.strangers) + 1e-9) >= LEAST_ABOVE
        if not enough_strangers or not np.isfinite(searches.strangers).any():
            rates[fpir] = Rate()
            continue
        threshold = searches.threshold(fpir)
        rates[fpir] = Rate(
            searches.tpir(threshold),
            tpir_interval(searches, fpir),
            threshold if np.isfinite(threshold) else None,
        )
    return IdentificationFigures(
        enrol=enrol,
        enrolled=len(parts.enrolled),
        probes=len(parts.probes),
        strangers=len(parts.strangers),
        rank1=Rate.of(searches.is_correct, searches.person),
        tpir_at_fpir=rates,
    )


def _verification_notes(figures: VerificationFigures) -> list[str]:
    if not figures.genuine_pairs or not figures.impostor_pairs:
        return ["Verification needs photos with a face of two people, and two such photos of one of them."]
    if any(rate.value is None for rate in figures.tar_at_fmr.values()):
        return [f"– means that fewer than {LEAST_ABOVE} pairs of different people score above the threshold."]
    return []


def _identification_notes(parts: Split, enrol: int) -> list[str]:
    if not parts.probes:
        return [f"Identification needs people with {enrol + 1} or more photos."]
    if len(parts.strangers) * min(FPIRS) < LEAST_ABOVE - 1e-9:
        return [
            f"Strangers are people with exactly one photo. TPIR at FPIR 1% needs "
            f"{round(LEAST_ABOVE / min(FPIRS))} of them, and at FPIR 10% {round(LEAST_ABOVE / max(FPIRS))}; "
            f"there are {len(parts.strangers)}."
        ]
    return []
