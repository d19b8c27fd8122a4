"""Who else a photo looks like: warnings raised at enrolment, and resolved through merges when read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from people.decision import ThresholdChoice, pair_threshold, search_threshold
from people.engines import engine_id
from people.engines.base import FaceEngine
from people.faces import Vectors
from people.gallery import enrolled
from people.indexes import get_index
from people.models import MeanTemplate, Person, Photo
from people.models.template import unpack

NEIGHBOURS = 5
SURE_SIMILARITY = 70.0
"""FMR 1e-3. A photo this close to its own person is warned of only for being closer to someone else."""


def raised(person: Person, vector: Vectors, engine: FaceEngine) -> list[dict[str, Any]]:
    """Return the warnings for a new template, (d,) float32, of this person.

    It may look like another person of the collection, or unlike the person's other photos.
    """
    engine_name = engine_id(engine)
    means = MeanTemplate.objects.filter(engine=engine_name)
    (proposed,) = (
        get_index()
        .nearest(vector[None], collection_id=person.collection_id, engine=engine_name, limit=NEIGHBOURS + 1)
        .persons
    )
    others = [
        (float(unpack(packed) @ vector), person_id)
        for person_id, packed in means.filter(person__in=proposed).values_list("person_id", "vector")
        if person_id != person.pk
    ]
    calibration, size = engine.calibration, enrolled(person.collection_id, engine_name)
    warnings: list[dict[str, Any]] = []
    nearest, nearest_id = max(others, default=(-1.0, None))
    if nearest >= search_threshold(calibration, size, ThresholdChoice()).cosine:
        warnings.append(
            {
                "code": "possible_duplicate_person",
                "person": str(nearest_id),
                "similarity": round(calibration.similarity(nearest), 1),
                "hint": "This face looks like another person of the collection. Are they the same?",
            }
        )
    own_mean = means.filter(person=person).values_list("vector", flat=True).first()
    if own_mean is not None:
        cosine = float(unpack(own_mean) @ vector)
        if cosine < max(pair_threshold(calibration, ThresholdChoice(fmr=1e-3)).cosine, nearest):
            warnings.append(
                {
                    "code": "LOW_MATCH_CONFIDENCE",
                    "similarity": round(calibration.similarity(cosine), 1),
                    "hint": "This face does not look like the person's other photos. Is it the right person?",
                }
            )
    return warnings


def current(photos: Iterable[Photo]) -> dict[UUID, list[dict[str, Any]]]:
    """Return each photo's warnings as they apply after all merges, by the photo's id.

    If the person in a warning was merged, it names the kept person instead; if that is the photo's own
    person, the warning is dropped.
    """
    rows = list(photos)
    named_ids = {UUID(warning["person"]) for row in rows for warning in row.warnings if warning.get("person")}
    kept_ids = _kept_ids(named_ids)
    return {row.pk: _current(row, kept_ids) for row in rows}


def _current(photo: Photo, kept_ids: dict[str, str]) -> list[dict[str, Any]]:
    own_id = str(photo.person_id)
    warnings = [
        {**warning, "person": kept_ids.get(warning["person"], warning["person"])}
        if warning.get("person")
        else warning
        for warning in photo.warnings
    ]
    if not any(warning.get("person") == own_id for warning in warnings):
        return warnings
    # the person whom it was closer to turned out to be the same human
    return [
        warning
        for warning in warnings
        if warning.get("person") != own_id
        and not (warning["code"] == "LOW_MATCH_CONFIDENCE" and warning["similarity"] >= SURE_SIMILARITY)
    ]


def _kept_ids(person_ids: set[UUID]) -> dict[str, str]:
    """Return, for each of these people who was merged, the id of the kept person."""
    merged = Person.objects.filter(pk__in=person_ids, status=Person.Status.MERGED)
    return {str(person.pk): str(person.kept().pk) for person in merged.select_related("merged_into")}
