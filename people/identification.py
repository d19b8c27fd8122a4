"""Compare probes with the enrolled: identify (1:N), verify and compare (1:1), detect.

Probes are never kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Counter

from people import audit, capacity, extraction
from people.active_engine import active_engine
from people.actors import Actor
from people.decision import (
    Calibration,
    Threshold,
    ThresholdChoice,
    decide,
    pair_threshold,
    search_threshold,
)
from people.engines import engine_id
from people.errors import NoFaceFound, NotEnrolled
from people.extraction import MAX_FACES, ExtractedFace, PhotoFaces, Purpose
from people.faces import Vectors
from people.gallery import enrolled, searchable_means
from people.indexes import get_index
from people.models import Collection, Person, Template
from people.models.template import unpack

FACES_SEARCHED = Counter("facerec_faces_searched_total", "Faces searched, by decision.", ["decision"])
DEGRADED = Counter("facerec_degraded_searches_total", "Searches answered without the remote index.")
MAX_CANDIDATES = 100
SPARE = 8
"""Asked of the index beyond what is wanted: it may rank by shortened vectors, which may change places."""


@dataclass(frozen=True, slots=True)
class Score:
    """A comparison score: calibrated 0–100, and the raw cosine; and whether it reaches the threshold."""

    similarity: float
    cosine: float
    match: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    person: Person
    score: Score
    photo_id: UUID
    """The person's photo that is nearest to the probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedFace(ExtractedFace):
    decision: str
    margin: float | None
    """Cosine between the best two people; None when there is only one."""
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Identification:
    photo: PhotoFaces
    collection_size: int
    threshold: Threshold
    faces: list[IdentifiedFace]
    degraded: bool
    """Whether the index was away and the database was searched in its place. The answer is exact."""


@dataclass(frozen=True, slots=True)
class Verification:
    photo: PhotoFaces
    face: ExtractedFace
    score: Score
    threshold: Threshold
    photo_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFace(ExtractedFace):
    score: Score


@dataclass(frozen=True, slots=True)
class Comparison:
    engine: str
    threshold: Threshold
    source: ExtractedFace
    faces: list[ComparedFace]
    """Of the target photo, largest first."""


def detect(data: bytes, *, actor: Actor, max_faces: int = MAX_FACES) -> PhotoFaces:
    """Return every face of the photo, with nothing skipped. Raises PhotoRejected."""
    with capacity.probe_capacity.slot():
        photo = extraction.from_photo(data, active_engine(), purpose=Purpose.DETECTION, max_faces=max_faces)
    audit.record_search("photo.detected", actor=actor, details={"faces": len(photo.faces)})
    return photo


def identify(
    data: bytes,
    *,
    collection: Collection,
    actor: Actor,
    choice: ThresholdChoice | None = None,
    max_candidates: int = 5,
    max_faces: int = 10,
    quality_level: str = "auto",
    include_below: bool = False,
) -> Identification:
    """Search every good enough face of the photo among the collection's findable people.

    `choice` overrides the collection's own threshold. Candidates are best first; those below the
    threshold are listed only with `include_below`. Raises PhotoRejected or IndexUnavailable.
    """
    engine = active_engine()
    engine_name = engine_id(engine)
    with capacity.probe_capacity.slot():
        photo = extraction.from_photo(
            data, engine, purpose=Purpose.PROBE, quality_level=quality_level, max_faces=max_faces
        )
    calibration = engine.calibration
    size = enrolled(collection.pk, engine_name)
    threshold = search_threshold(calibration, size, choice or collection_choice(collection))
    ranked, degraded = _rank(photo.vectors, collection, engine_name, max(max_candidates, 2))
    shown = [
        [(cosine, pk) for cosine, pk in row[:max_candidates] if include_below or cosine >= threshold.cosine]
        for row in ranked
    ]
    nearest = _nearest_photos(photo.vectors, shown, engine_name)
    faces = []
    for number, (face, row, own) in enumerate(zip(photo.faces, ranked, shown, strict=True)):
        # without people who were erased while this ran
        gone = {pk for _, pk in own if (number, pk) not in nearest}
        decision, margin = decide([cosine for cosine, pk in row if pk not in gone], threshold.cosine)
        candidates = [
            Candidate(person, _score(cosine, threshold, calibration), photo_id)
            for cosine, pk in own
            if pk not in gone
            for person, photo_id in [nearest[number, pk]]
        ]
        faces.append(
            face.extended_to(IdentifiedFace, decision=decision, margin=margin, candidates=candidates)
        )
    matched = [str(one.candidates[0].person.pk) for one in faces if one.decision == "match"]
    audit.record_search(
        "photo.identified", actor=actor, collection_id=collection.pk,
        details={"faces": len(faces), "matches": matched},
    )  # fmt: skip
    DEGRADED.inc(degraded)
    for one in faces:
        FACES_SEARCHED.labels(one.decision).inc()
        if one.decision == "match":
            one.candidates[0].person.touch()
    return Identification(photo, size, threshold, faces, degraded)


def verify(
    data: bytes,
    *,
    person: Person,
    actor: Actor,
    choice: ThresholdChoice | None = None,
    face: str | Sequence[float] = "only",
) -> Verification:
    """Compare the meant face of the photo with one person.

    A suspended person, or one whose needed consent is missing, has nothing to compare with: raises
    NotEnrolled, as for a person without an accepted photo. Raises PersonMerged and PhotoRejected too.
    """
    person.check_not_merged()
    engine = active_engine()
    engine_name = engine_id(engine)
    with capacity.probe_capacity.slot():
        photo = extraction.from_photo(data, engine, purpose=Purpose.PROBE, face=face)
    mean = searchable_means([person.pk], person.collection, engine_name).get(person.pk)
    if mean is None:
        raise NotEnrolled
    calibration = engine.calibration
    threshold = pair_threshold(calibration, choice or ThresholdChoice())
    score = _score(float(mean @ photo.vectors[0]), threshold, calibration)
    nearest = _nearest_photos(photo.vectors, [[(score.cosine, person.pk)]], engine_name)
    if not nearest:  # erased while the probe was compared
        raise NotEnrolled
    audit.record_search(
        "person.verified", actor=actor, collection_id=person.collection_id, object_id=person.pk,
        details={"match": score.match},
    )  # fmt: skip
    if score.match:
        person.touch()
    return Verification(photo, photo.faces[0], score, threshold, nearest[0, person.pk][1])


def compare(
    source: bytes, target: bytes, *, actor: Actor, choice: ThresholdChoice | None = None
) -> Comparison:
    """Compare the largest face of `source` with every face of `target`. Raises PhotoRejected."""
    engine = active_engine()
    with capacity.probe_capacity.slot():
        try:
            source_photo = extraction.from_photo(source, engine, purpose=Purpose.REFERENCE, face="largest")
        except NoFaceFound as error:
            raise NoFaceFound(
                "No face was found in the source photo. Send a photo that shows one face."
            ) from error
        target_photo = extraction.from_photo(target, engine, purpose=Purpose.PROBE)
    calibration = engine.calibration
    threshold = pair_threshold(calibration, choice or ThresholdChoice())
    (reference,) = source_photo.vectors
    compared_faces = [
        face.extended_to(ComparedFace, score=_score(float(probe @ reference), threshold, calibration))
        for face, probe in zip(target_photo.faces, target_photo.vectors, strict=True)
    ]
    matches = sum(face.score.match for face in compared_faces)
    audit.record_search("photos.compared", actor=actor, details={"matches": matches})
    return Comparison(target_photo.engine, threshold, source_photo.faces[0], compared_faces)


def collection_choice(collection: Collection) -> ThresholdChoice:
    """Return the threshold that the collection asks for."""
    return ThresholdChoice(collection.fpir, collection.fmr, collection.min_similarity)


def _score(cosine: float, threshold: Threshold, calibration: Calibration) -> Score:
    return Score(calibration.similarity(cosine), cosine, cosine >= threshold.cosine)


def _rank(
    probes: Vectors, collection: Collection, engine: str, limit: int
) -> tuple[list[list[tuple[float, UUID]]], bool]:
    """Return each probe's people, best first, by scores computed from the database's vectors.

    And whether the index was away.

    The index proposes, the database decides: more is fetched until enough findable people are left.
    """
    wanted = limit + SPARE
    while True:
        proposals = get_index().nearest(probes, collection_id=collection.pk, engine=engine, limit=wanted)
        proposed = proposals.persons
        means = searchable_means({pk for row in proposed for pk in row}, collection, engine)
        ranked = []
        for probe, row in zip(probes, proposed, strict=True):
            scored = [(float(means[pk] @ probe), pk) for pk in row if pk in means]
            ranked.append(sorted(scored, key=lambda one: (-one[0], str(one[1])))[:limit])
        short = any(
            len(kept) < limit and len(row) == wanted for kept, row in zip(ranked, proposed, strict=True)
        )
        if not short:
            return ranked, proposals.degraded
        wanted *= 4


def _nearest_photos(
    probes: Vectors, ranked: list[list[tuple[float, UUID]]], engine: str
) -> dict[tuple[int, UUID], tuple[Person, UUID]]:
    """Return, by (number of probe, person's id), the person and which of their photos is nearest."""
    ids = {pk for row in ranked for _, pk in row}
    if not ids:
        return {}
    own: dict[UUID, list[Template]] = {}
    rows = Template.objects.filter(person__in=ids, engine=engine).select_related("person")
    for template in rows.defer("box", "landmarks", "quality", "person__metadata"):  # JSON takes its time
        own.setdefault(template.person_id, []).append(template)
    found = {}
    for number, row in enumerate(ranked):
        for _, pk in row:
            if choices := own.get(pk):
                best = max(choices, key=lambda one: float(unpack(one.vector) @ probes[number]))
                found[number, pk] = best.person, best.photo_id
    return found
