"""Warnings that a photo may show another person: made at enrolment, updated for later merges when read."""

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
"""How many other people to compare with: the index's order may differ slightly from the exact one."""
SURE_SIMILARITY = 70.0
"""FMR 1e-3. A photo at or above this gets LOW_MATCH_CONFIDENCE only if another person is more similar."""

UNLIKE_OWN_PHOTOS = "This face does not look like the person's other photos. Is it the right person?"
CLOSER_TO_ANOTHER = (
    "This face looks more like another person than like this person's other photos. Is it the right person?"
)


def raised(person: Person, vector: Vectors, engine: FaceEngine) -> list[dict[str, Any]]:
    """Return the warnings for a new template, (d,) float32, of this person.

    The face may look like another person in the collection, or unlike the person's other photos.
    """
    engine_name, calibration = engine_id(engine), engine.calibration
    size = enrolled(person.collection_id, engine_name)
    duplicate_cosine = search_threshold(calibration, size, ThresholdChoice()).cosine
    own_cosine, other_cosine, other_id = _cosines(person, vector, engine_name)
    warnings: list[dict[str, Any]] = []
    if other_cosine >= duplicate_cosine:
        warnings.append(
            {
                "code": "possible_duplicate_person",
                "person": str(other_id),
                "similarity": round(calibration.similarity(other_cosine), 1),
                "hint": "This face looks like another person in the collection. Are they the same person?",
            }
        )
    own_threshold = pair_threshold(calibration, ThresholdChoice(fmr=1e-3)).cosine
    if own_cosine is not None and own_cosine < max(own_threshold, other_cosine):
        warnings.append(
            {
                "code": "LOW_MATCH_CONFIDENCE",
                "similarity": round(calibration.similarity(own_cosine), 1),
                "hint": UNLIKE_OWN_PHOTOS if own_cosine < own_threshold else CLOSER_TO_ANOTHER,
            }
        )
    return warnings


def _cosines(person: Person, vector: Vectors, engine_name: str) -> tuple[float | None, float, UUID | None]:
    """Return the cosine to the person's own mean, to the nearest other person's mean, and that person's id.

    The first is None if the person has no mean template. If there is no other person, the last two are -1
    and None.
    """
    proposals = get_index().nearest(
        vector[None], collection_id=person.collection_id, engine=engine_name, limit=NEIGHBOURS + 1
    )
    means = MeanTemplate.objects.filter(engine=engine_name, person__in={person.pk, *proposals.persons[0]})
    cosines = {
        person_id: float(unpack(packed) @ vector)
        for person_id, packed in means.values_list("person_id", "vector")
    }
    own_cosine = cosines.pop(person.pk, None)
    other_id = max(cosines, key=cosines.__getitem__, default=None)
    return own_cosine, -1.0 if other_id is None else cosines[other_id], other_id


def current(photos: Iterable[Photo]) -> dict[UUID, list[dict[str, Any]]]:
    """Return each photo's warnings, updated for merges, by the photo's id.

    If a warning's person has since been merged, the warning contains the kept person instead. If that is
    the photo's own person, the warning is omitted.
    """
    photos = list(photos)
    named_ids = {
        UUID(warning["person"]) for photo in photos for warning in photo.warnings if warning.get("person")
    }
    kept_ids = _kept_ids(named_ids)
    return {photo.pk: _current(photo, kept_ids) for photo in photos}


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
    # the other, more similar person has been merged with the photo's person
    return [
        warning
        for warning in warnings
        if warning.get("person") != own_id
        and not (warning["code"] == "LOW_MATCH_CONFIDENCE" and warning["similarity"] >= SURE_SIMILARITY)
    ]


def _kept_ids(person_ids: set[UUID]) -> dict[str, str]:
    """Return the kept record's id for each of these people whose record was merged."""
    merged = Person.objects.filter(pk__in=person_ids, status=Person.Status.MERGED)
    return {str(person.pk): str(person.kept().pk) for person in merged.select_related("merged_into")}
