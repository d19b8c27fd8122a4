"""Enrol a person from photos: submit, enrol, withdraw."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone

from people import audit, extraction, mean_templates, outbox, photo_warnings, photos
from people.active_engine import active_engine, engines_beside
from people.actors import WORKER, Actor
from people.engines import engine_id
from people.engines.base import FaceEngine
from people.errors import ConsentMissing, PersonMerged, PhotoRejected, as_stored
from people.extraction import PhotoFaces, Purpose
from people.faces import Box
from people.models import Person, Photo, Template
from people.models.guarded import delete_rows
from people.models.photo import photo_storage
from people.models.template import pack

ABANDONED_AFTER = timedelta(minutes=10)
"""A stored file that no row names by then was left by a process that died."""


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
    try:
        photo.file.name = photo_storage().save(name, ContentFile(photos.encode(image)))
    except Exception:  # whatever the storage raises
        outbox.hasten(leftover)
        raise
    try:
        with transaction.atomic():
            # The person may have been erased or merged while the photo was read.
            Person.objects.select_for_update().get(pk=person.pk).check_not_merged()
            if known is not None:
                remove(known)
            photo.save(force_insert=True)
            outbox.cancel(leftover)
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
        outbox.hasten(leftover)
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
    data = _stored_bytes(photo)
    if data is None:
        return  # erased meanwhile
    engine = active_engine()
    try:
        extracted = extraction.from_photo(
            data,
            engine,
            purpose=Purpose.REFERENCE,
            quality_level=photo.quality_level,
            face=photo.face_choice,
        )
    except PhotoRejected as refusal:
        reject(photo_id, refusal)
        return
    warnings = photo_warnings.raised(photo.person, extracted.vectors[0], engine)
    box = extracted.faces[0].detected.box
    extractions = [extracted, *(_same_face(data, box, other) for other in engines_beside())]
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
        for one_engine in extractions:
            if one_engine is not None:
                _store_template(photo_id, person, one_engine)
        mean_templates.recompute(person)
        audit.record(
            "photo.accepted", actor=WORKER, collection_id=person.collection_id, object_id=photo.id,
            details={"person": str(person.pk), "warnings": [warning["code"] for warning in warnings]},
        )  # fmt: skip
    person.touch()


def add_template(photo_id: uuid.UUID, engine: FaceEngine) -> bool:
    """Make an accepted photo's template of a further engine; return whether it has one then."""
    known = Template.objects.filter(photo=photo_id).order_by("created_at").first()
    photo = Photo.objects.filter(pk=photo_id, status=Photo.Status.ACCEPTED).first()
    data = None if photo is None else _stored_bytes(photo)
    if known is None or data is None:
        return False
    extracted = _same_face(data, Box(**known.box), engine)
    if extracted is None:
        return False
    with transaction.atomic():
        person = _lock_owner(photo_id)
        mine = Template.objects.filter(photo=photo_id)
        if person is None or not mine.exists():
            return False  # erased or withdrawn meanwhile
        if not mine.filter(engine=engine_id(engine)).exists():
            _store_template(photo_id, person, extracted)
            mean_templates.recompute(person)
    return True


def _stored_bytes(photo: Photo) -> bytes | None:
    """Return the photo's stored JPEG, or None when it was erased meanwhile."""
    try:
        with photo_storage().open(str(photo.file.name)) as file:
            return bytes(file.read())
    except FileNotFoundError:
        if not Photo.objects.filter(pk=photo.pk).exists():
            return None
        raise


def _same_face(data: bytes, box: Box, engine: FaceEngine) -> PhotoFaces | None:
    """Return the face at a box that another engine found, or None when this engine finds none there."""
    try:
        return extraction.from_photo(
            data, engine, purpose=Purpose.REFERENCE, face=(box.left, box.top, box.width, box.height)
        )
    except PhotoRejected:
        return None


def _store_template(photo_id: uuid.UUID, person: Person, extracted: PhotoFaces) -> None:
    """Store the template of the one face that was extracted."""
    (found,), (vector,) = extracted.faces, extracted.vectors
    Template.objects.create(
        photo_id=photo_id,
        person=person,
        engine=extracted.engine,
        vector=pack(vector),
        box=extraction.box_json(found.detected.box),
        landmarks={name: [round(x, 1), round(y, 1)] for name, (x, y) in found.detected.landmarks.items()},
        confidence=found.detected.confidence,
        quality=found.measures.as_json(),
    )


def check(data: bytes) -> None:
    """Judge a photo as an enrolment would, and store nothing. Raises PhotoRejected."""
    # what an enrolment sees is the photo as it is stored
    stored = photos.encode(photos.decode(data))
    extraction.from_photo(
        stored, active_engine(), purpose=Purpose.DETECTION, quality_level="auto", face="only"
    )


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
        mean_templates.recompute(person)
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
