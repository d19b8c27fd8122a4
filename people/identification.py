"""Compare probes with enrolled people: identify (1:N), verify and compare (1:1), and detect.

Probes are never stored.
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
DEGRADED = Counter("facerec_degraded_searches_total", "Searches run without the remote index.")
MAX_CANDIDATES = 100
SPARE = 8
"""Extra candidates requested from the index: it may rank by shortened vectors, which can change the order."""


@dataclass(frozen=True, slots=True)
class Score:
    """A comparison score: calibrated similarity (0–100), raw cosine, and whether it is a match."""

    similarity: float
    cosine: float
    match: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    person: Person
    score: Score
    photo_id: UUID
    """The person's photo that is most similar to the probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedFace(ExtractedFace):
    decision: str
    margin: float | None
    """Difference in cosine between the best two people; None if there is only one."""
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Identification:
    photo: PhotoFaces
    collection_size: int
    threshold: Threshold
    faces: list[IdentifiedFace]
    degraded: bool
    """Whether the index was unavailable and the database was searched instead. The result is still exact."""


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
    """The faces of the target photo, largest first."""


def detect(data: bytes, *, actor: Actor, max_faces: int = MAX_FACES) -> PhotoFaces:
    """Return the photo's `max_faces` largest faces, whatever their quality. Raises PhotoRejected."""
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
    """Search the collection for each face in the photo that passes the quality check.

    `choice` overrides the collection's own threshold. Candidates are listed best first; those below
    the threshold are included only with `include_below`. Raises PhotoRejected or IndexUnavailable.
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
    listed = [
        [(cosine, pk) for cosine, pk in row[:max_candidates] if include_below or cosine >= threshold.cosine]
        for row in ranked
    ]
    nearest = _nearest_photos(photo.vectors, listed, engine_name)
    faces = []
    for number, (face, ranked_row, listed_row) in enumerate(zip(photo.faces, ranked, listed, strict=True)):
        # leave out people who were erased during this search
        erased_ids = {pk for _, pk in listed_row if (number, pk) not in nearest}
        cosines = [cosine for cosine, pk in ranked_row if pk not in erased_ids]
        decision, margin = decide(cosines, threshold.cosine)
        candidates = [
            Candidate(person, _score(cosine, threshold, calibration), photo_id)
            for cosine, pk in listed_row
            if pk not in erased_ids
            for person, photo_id in [nearest[number, pk]]
        ]
        faces.append(
            face.extended_to(IdentifiedFace, decision=decision, margin=margin, candidates=candidates)
        )
    matched_ids = [str(face.candidates[0].person.pk) for face in faces if face.decision == "match"]
    audit.record_search(
        "photo.identified", actor=actor, collection_id=collection.pk,
        details={"faces": len(faces), "matches": matched_ids},
    )  # fmt: skip
    DEGRADED.inc(degraded)
    for identified_face in faces:
        FACES_SEARCHED.labels(identified_face.decision).inc()
        if identified_face.decision == "match":
            identified_face.candidates[0].person.touch()
    return Identification(photo, size, threshold, faces, degraded)


def verify(
    data: bytes,
    *,
    person: Person,
    actor: Actor,
    choice: ThresholdChoice | None = None,
    face: str | Sequence[float] = "only",
) -> Verification:
    """Compare one face of the photo, chosen by `face`, with one person.

    Raises NotEnrolled if the person has no accepted photo, is suspended, or lacks the consent that the
    collection requires. Also raises PersonMerged and PhotoRejected.
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
    if not nearest:  # the person was erased during the comparison
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
    """Return the threshold chosen in the collection's settings."""
    return ThresholdChoice(collection.fpir, collection.fmr, collection.min_similarity)


def _score(cosine: float, threshold: Threshold, calibration: Calibration) -> Score:
    return Score(calibration.similarity(cosine), cosine, cosine >= threshold.cosine)


def _rank(
    probes: Vectors, collection: Collection, engine: str, limit: int
) -> tuple[list[list[tuple[float, UUID]]], bool]:
    """Return (cosine, person id) pairs for each probe, best first, and whether the search was degraded.

    The index proposes candidates; the scores come from the vectors in the database. If too few of the
    proposed people are searchable, more are requested.
    """
    requested = limit + SPARE
    while True:
        proposals = get_index().nearest(probes, collection_id=collection.pk, engine=engine, limit=requested)
        proposed = proposals.persons
        means = searchable_means({pk for row in proposed for pk in row}, collection, engine)
        ranked = []
        for probe, row in zip(probes, proposed, strict=True):
            scored = [(float(means[pk] @ probe), pk) for pk in row if pk in means]
            ranked.append(sorted(scored, key=lambda pair: (-pair[0], str(pair[1])))[:limit])
        too_few = any(
            len(kept) < limit and len(row) == requested for kept, row in zip(ranked, proposed, strict=True)
        )
        if not too_few:
            return ranked, proposals.degraded
        requested *= 4


def _nearest_photos(
    probes: Vectors, ranked: list[list[tuple[float, UUID]]], engine: str
) -> dict[tuple[int, UUID], tuple[Person, UUID]]:
    """Return the person and the id of their most similar photo, by (probe's index, person's id)."""
    ids = {pk for row in ranked for _, pk in row}
    if not ids:
        return {}
    templates: dict[UUID, list[Template]] = {}
    rows = Template.objects.filter(person__in=ids, engine=engine).select_related("person")
    for template in rows.defer("box", "landmarks", "quality", "person__metadata"):  # parsing JSON is slow
        templates.setdefault(template.person_id, []).append(template)
    nearest = {}
    for number, row in enumerate(ranked):
        for _, pk in row:
            if choices := templates.get(pk):
                best = max(choices, key=lambda template: float(unpack(template.vector) @ probes[number]))
                nearest[number, pk] = best.person, best.photo_id
    return nearest
