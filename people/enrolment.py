"""Enrol a person from photos: submit, enrol, withdraw."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone

from people import audit, extraction, indexing, outbox, photos, quality
from people.active_engine import active_engine, engines_beside
from people.actors import WORKER, Actor
from people.decision import ThresholdChoice, mean_template, pair_threshold, search_threshold
from people.engines import engine_id
from people.engines.base import Box, FaceEngine, RGBImage, Vectors
from people.errors import ConsentMissing, PersonMerged, PhotoRejected, PoorQuality, as_stored
from people.extraction import ExtractedFace
from people.indexes import get_index
from people.models import MeanTemplate, OutboxEntry, Person, Photo, Template
from people.models.guarded import delete_rows
from people.models.photo import photo_storage
from people.models.template import pack, unpack
from people.population import enrolled

ABANDONED_AFTER = timedelta(minutes=10)
"""A stored file that no row names by then was left by a process that died."""
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Submission:
    photo: Photo
    created: bool
    """False when this person has this very photo already."""


def submit(
    person: Person,
    data: bytes,
    *,
    actor: Actor,
    face: str | Sequence[float] = "only",
    quality_level: str = "auto",
    attend: Callable[[Photo], None] | None = None,
) -> Submission:
    """Keep the photo and have a worker enrol it.

    `face` says whose face is meant when there are several: `only`, `largest`, or a box in pixels
    of the upright photo. `attend` is called in the transaction that stores the photo, by a caller
    who then enrols it; a worker does it only when that caller died.
    Raises ConsentMissing, PersonMerged, or PhotoRejected when the bytes are no usable photo.
    """
    person.check_not_merged()
    if person.collection.requires_consent and not person.has_consent():
        raise ConsentMissing
    image = photos.decode(data)
    sha256 = hashlib.sha256(data).hexdigest()
    known = Photo.objects.filter(person=person, sha256=sha256).first()
    if known is not None and known.status != Photo.Status.REJECTED:
        return Submission(known, created=False)
    photo = Photo(
        person=person,
        sha256=sha256,
        width=image.shape[1],
        height=image.shape[0],
        face_choice=face if isinstance(face, str) else list(face),
        quality_level=quality_level,
        submitted_by=actor.label,
    )
    name = f"{person.collection_id}/{photo.id}.jpg"
    # Written first, so that a file whose row never comes is removed all the same.
    leftover = outbox.purge_file(name, after=ABANDONED_AFTER)
    photo.file.name = photo_storage().save(name, ContentFile(photos.encode(image)))
    try:
        with transaction.atomic():
            # The person may have been erased or merged while the photo was read.
            Person.objects.select_for_update().get(pk=person.pk).check_not_merged()
            if known is not None:
                remove(known)
            photo.save(force_insert=True)
            OutboxEntry.objects.filter(pk=leftover.pk).delete()
            if attend is None:
                outbox.enrol_photo(photo.id)
            else:
                outbox.enrol_photo(photo.id, after=outbox.LEASE)
                attend(photo)
            audit.record(
                "photo.submitted", actor=actor, collection_id=person.collection_id, object_id=photo.id,
                details={"person": str(person.pk)},
            )  # fmt: skip
    except (IntegrityError, Person.DoesNotExist, PersonMerged) as error:
        OutboxEntry.objects.filter(pk=leftover.pk).update(due_at=timezone.now())
        outbox.wake(leftover)
        if isinstance(error, PersonMerged):
            raise
        twin = Photo.objects.filter(person=person, sha256=sha256).first()
        if twin is None:
            raise Person.DoesNotExist from error
        return Submission(twin, created=False)
    return Submission(photo, created=True)


def enrol(photo_id: uuid.UUID) -> None:
    """Turn a pending photo into a template, or a rejection with its reasons. May run twice."""
    photo = Photo.objects.select_related("person__collection").filter(pk=photo_id).first()
    if photo is None or photo.status != Photo.Status.PENDING:
        return  # erased while it waited, or done already
    image = _image(photo)
    if image is None:
        return  # erased meanwhile
    engine = active_engine()
    try:
        chosen = _usable(image, photo.face_choice, photo.quality_level, engine)
    except PhotoRejected as refusal:
        reject(photo_id, refusal)
        return
    vector = extraction.references([chosen], engine)[0]
    warnings = _warnings(photo.person, vector, engine)
    beside = [(other, _same_face(image, chosen.face.box, other)) for other in engines_beside()]
    with transaction.atomic():
        # In this order everywhere: person, then photo.
        person = _lock_owner(photo_id)
        if person is not None:
            # merged while the photo was looked at: nobody is their own duplicate
            warnings = [one for one in warnings if one.get("person") != str(person.pk)]
        waiting = Photo.objects.filter(pk=photo_id, status=Photo.Status.PENDING)
        changed = waiting.update(status=Photo.Status.ACCEPTED, warnings=warnings, decided_at=timezone.now())
        if person is None or not changed:
            return
        _store(photo_id, person, chosen, vector, engine)
        for other, seen in beside:
            if seen is not None:
                _store(photo_id, person, seen, extraction.references([seen], other)[0], other)
        templates_changed(person)
        audit.record(
            "photo.accepted", actor=WORKER, collection_id=person.collection_id, object_id=photo.id,
            details={"person": str(person.pk), "warnings": [warning["code"] for warning in warnings]},
        )  # fmt: skip
    person.touch()


def add_template(photo_id: uuid.UUID, engine: FaceEngine) -> bool:
    """Make an accepted photo's template of a further engine; return whether it has one then."""
    known = Template.objects.filter(photo=photo_id).order_by("created_at").first()
    photo = Photo.objects.filter(pk=photo_id, status=Photo.Status.ACCEPTED).first()
    image = None if photo is None else _image(photo)
    if known is None or image is None:
        return False
    seen = _same_face(image, Box(**known.box), engine)
    if seen is None:
        return False
    vector = extraction.references([seen], engine)[0]
    with transaction.atomic():
        person = _lock_owner(photo_id)
        mine = Template.objects.filter(photo=photo_id)
        if person is None or not mine.exists():
            return False  # erased or withdrawn meanwhile
        if not mine.filter(engine=engine_id(engine)).exists():
            _store(photo_id, person, seen, vector, engine)
            templates_changed(person)
    return True


def _image(photo: Photo) -> RGBImage | None:
    """Return the photo as it is kept, or None when it was erased meanwhile."""
    try:
        with photo_storage().open(str(photo.file.name)) as file:
            return photos.decode(file.read())
    except FileNotFoundError:
        if not Photo.objects.filter(pk=photo.pk).exists():
            return None
        raise


def _same_face(image: RGBImage, box: Box, engine: FaceEngine) -> ExtractedFace | None:
    """Return the face at a box that another engine found, or None when this engine sees none there."""
    try:
        return extraction.choose(
            extraction.extract(image, engine), (box.left, box.top, box.width, box.height)
        )
    except PhotoRejected:
        return None


def _store(
    photo_id: uuid.UUID, person: Person, chosen: ExtractedFace, vector: Vectors, engine: FaceEngine
) -> None:
    face = chosen.face
    Template.objects.create(
        photo_id=photo_id,
        person=person,
        engine=engine_id(engine),
        vector=pack(vector),
        box=extraction.box_json(face.box),
        landmarks={name: [round(x, 1), round(y, 1)] for name, (x, y) in face.landmarks.items()},
        confidence=face.confidence,
        quality=chosen.measures.as_json(),
    )


def check(data: bytes) -> None:
    """Judge a photo as an enrolment would, and keep nothing. Raises PhotoRejected."""
    # what an enrolment sees is the photo as it is kept
    kept = photos.encode(photos.decode(data))
    _usable(photos.decode(kept), "only", "auto", active_engine())


def _usable(
    image: RGBImage, choice: str | Sequence[float], quality_level: str, engine: FaceEngine
) -> ExtractedFace:
    """Return the chosen face. Raises PhotoRejected, with reasons when it is too poor."""
    chosen = extraction.choose(extraction.extract(image, engine), choice)
    reasons = quality.judge(chosen.measures, quality_level)
    if reasons:
        raise PoorQuality(
            extra={
                "face": extraction.box_json(chosen.face.box),
                "reasons": [reason.as_json() for reason in reasons],
            }
        )
    return chosen


def reject(photo_id: uuid.UUID, refusal: PhotoRejected) -> None:
    """Record why a pending photo was refused."""
    rejection = as_stored(refusal)
    with transaction.atomic():
        waiting = Photo.objects.select_related("person").filter(pk=photo_id, status=Photo.Status.PENDING)
        photo = waiting.first()
        if photo is None:
            return
        waiting.update(status=Photo.Status.REJECTED, rejection=rejection, decided_at=timezone.now())
        audit.record(
            "photo.rejected", actor=WORKER, collection_id=photo.person.collection_id, object_id=photo.id,
            details={"person": str(photo.person_id), "code": refusal.code},
        )  # fmt: skip


def choose_face(photo: Photo, box: Box, *, actor: Actor) -> None:
    """Enrol the face at `box` of a photo that was refused, say because it shows several.

    Nothing happens when the photo is gone or not refused. Raises ConsentMissing or PersonMerged.
    """
    with transaction.atomic():
        # In this order everywhere: person, then photo.
        person = _lock_owner(photo.pk)
        if person is None:
            return
        person.check_not_merged()
        if person.collection.requires_consent and not person.has_consent():
            raise ConsentMissing
        refused = Photo.objects.filter(pk=photo.pk, status=Photo.Status.REJECTED)
        choice = [box.left, box.top, box.width, box.height]
        if not refused.update(
            status=Photo.Status.PENDING, face_choice=choice, rejection=None, decided_at=None
        ):
            return
        outbox.enrol_photo(photo.pk)
        audit.record(
            "photo.face_chosen", actor=actor, collection_id=person.collection_id, object_id=photo.pk,
            details={"person": str(person.pk)},
        )  # fmt: skip


def withdraw(photo: Photo, *, actor: Actor) -> None:
    """Delete a photo with its template and file; the person's mean follows.

    The same photo goes from records that were merged into this one, too: no undo brings it back.
    """
    with transaction.atomic():
        person = _lock_owner(photo.pk)
        if person is None:
            return
        remove(photo)
        if person.status != Person.Status.MERGED:
            for twin in Photo.objects.filter(person__in=Person.everyone(person.pk), sha256=photo.sha256):
                remove(twin)
        templates_changed(person)
        audit.record(
            "photo.withdrawn", actor=actor, collection_id=person.collection_id, object_id=photo.pk,
            details={"person": str(person.pk)},
        )  # fmt: skip


def _lock_owner(photo_id: uuid.UUID) -> Person | None:
    """Lock whose photo this is now, in the caller's transaction; None when it is gone.

    A merge may have moved the photo since it was read.
    """
    owner = Photo.objects.filter(pk=photo_id).values_list("person_id", flat=True)
    while (person_id := owner.first()) is not None:
        with suppress(_Moved), transaction.atomic():
            person = Person.objects.select_for_update().filter(pk=person_id).first()
            if owner.first() != person_id:
                raise _Moved  # gives the lock back, so that two in other orders don't wait for each other
            return person
    return None


class _Moved(Exception):
    """The photo is another person's by now."""


def remove(photo: Photo) -> None:
    """Delete the photo's rows and have its file removed. In the caller's transaction."""
    delete_rows(Template.objects.filter(photo=photo.pk))
    delete_rows(Photo.objects.filter(pk=photo.pk))
    outbox.wake(outbox.purge_file(str(photo.file.name), person_id=photo.person_id))


def templates_changed(person: Person) -> None:
    """Make the person's mean templates anew and tell the indexes. In the caller's transaction.

    A merged person has none: the photos that stayed with them are not searched.
    """
    vectors: dict[str, list[Any]] = {}
    searched = Template.objects.filter(person=person).exclude(person__status=Person.Status.MERGED)
    for engine, packed in searched.values_list("engine", "vector"):
        vectors.setdefault(engine, []).append(unpack(packed))
    indexing.drop_means(MeanTemplate.objects.filter(person=person).exclude(engine__in=vectors))
    for engine, own in vectors.items():
        indexing.set_mean(person, engine, mean_template(np.stack(own)), len(own))
    outbox.person_changed(person.pk)


def _warnings(person: Person, vector: Vectors, engine: FaceEngine) -> list[dict[str, Any]]:
    """Return what staff should look at: somebody else who looks the same, or a person who doesn't."""
    means = MeanTemplate.objects.filter(engine=engine_id(engine))
    proposed = (
        get_index()
        .nearest(
            vector[None], collection_id=person.collection_id, engine=engine_id(engine), limit=NEIGHBOURS + 1
        )
        .persons[0]
    )
    others = [
        (float(unpack(packed) @ vector), person_id)
        for person_id, packed in means.filter(person__in=proposed).values_list("person_id", "vector")
        if person_id != person.pk
    ]
    calibration, size = engine.calibration, enrolled(person.collection_id, engine_id(engine))
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
    own = means.filter(person=person).values_list("vector", flat=True).first()
    if own is not None:
        cosine = float(unpack(own) @ vector)
        if cosine < max(pair_threshold(calibration, ThresholdChoice(fmr=1e-3)).cosine, nearest):
            warnings.append(
                {
                    "code": "LOW_MATCH_CONFIDENCE",
                    "similarity": round(calibration.similarity(cosine), 1),
                    "hint": "This face does not look like the person's other photos. Is it the right person?",
                }
            )
    return warnings
