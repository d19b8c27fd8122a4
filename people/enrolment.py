"""Enrol people from photos: submit a photo, enrol it, withdraw it."""

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
from people.active_engine import active_engine, secondary_engines
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
"""A stored file that still has no row by then was left behind by a process that died."""


@dataclass(frozen=True, slots=True)
class Submission:
    photo: Photo
    created: bool
    """False if the person already has this exact photo."""


def submit(
    person: Person,
    data: bytes,
    *,
    actor: Actor,
    face: str | Sequence[float] = "only",
    quality_level: str = "auto",
    attend: Callable[[Photo], None] | None = None,
) -> Submission:
    """Store the photo and queue it for a worker to enrol.

    `face` selects the face to enrol if there are several: `only`, `largest`, or a box in pixels of the
    upright photo. Pass `attend` if you enrol the photo yourself: it is called in the transaction that
    stores the photo, and a worker takes over only if your process dies.
    Raises ConsentMissing, PersonMerged, or PhotoRejected if the bytes are not a usable photo.
    """
    person.check_not_merged()
    if person.collection.requires_consent and not person.has_consent():
        raise ConsentMissing
    image = photos.decode(data)
    sha256 = hashlib.sha256(data).hexdigest()
    same_photo = Photo.objects.filter(person=person, sha256=sha256).first()
    if same_photo is not None and same_photo.status != Photo.Status.REJECTED:
        return Submission(same_photo, created=False)
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
    # Requested first, so that the file is deleted even if its row is never stored.
    purge = outbox.request_file_purge(name, after=ABANDONED_AFTER)
    try:
        photo.file.name = photo_storage().save(name, ContentFile(photos.encode(image)))
    except Exception:  # any error of the storage
        outbox.make_due_now(purge)
        raise
    try:
        with transaction.atomic():
            # The person may have been erased or merged in the meantime.
            Person.objects.select_for_update().get(pk=person.pk).check_not_merged()
            if same_photo is not None:
                remove(same_photo)
            photo.save(force_insert=True)
            outbox.cancel(purge)
            if attend is None:
                outbox.request_enrolment(photo.id)
            else:
                outbox.request_enrolment(photo.id, after=outbox.LEASE)
                attend(photo)
            audit.record(
                "photo.submitted", actor=actor, collection_id=person.collection_id, object_id=photo.id,
                details={"person": str(person.pk)},
            )  # fmt: skip
    except (IntegrityError, Person.DoesNotExist, PersonMerged) as error:
        outbox.make_due_now(purge)
        if isinstance(error, PersonMerged):
            raise
        twin = Photo.objects.filter(person=person, sha256=sha256).first()
        if twin is None:
            raise Person.DoesNotExist from error
        return Submission(twin, created=False)
    return Submission(photo, created=True)


def enrol(photo_id: uuid.UUID) -> None:
    """Turn a pending photo into a template, or reject it with the reasons. Safe to run twice."""
    photo = Photo.objects.select_related("person__collection").filter(pk=photo_id).first()
    if photo is None or photo.status != Photo.Status.PENDING:
        return  # already processed, or erased in the meantime
    data = _stored_bytes(photo)
    if data is None:
        return  # erased in the meantime
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
    extractions = [extracted, *(_same_face(data, box, added_engine) for added_engine in secondary_engines())]
    with transaction.atomic():
        # Always lock in this order: person, then photo.
        person = _lock_owner(photo_id)
        if person is not None:
            # after a merge in the meantime, a warning may name the photo's own person: drop it
            warnings = [warning for warning in warnings if warning.get("person") != str(person.pk)]
        pending = Photo.objects.filter(pk=photo_id, status=Photo.Status.PENDING)
        changed = pending.update(status=Photo.Status.ACCEPTED, warnings=warnings, decided_at=timezone.now())
        if person is None or not changed:
            return
        for engine_result in extractions:
            if engine_result is not None:
                _store_template(photo_id, person, engine_result)
        mean_templates.recompute(person)
        audit.record(
            "photo.accepted", actor=WORKER, collection_id=person.collection_id, object_id=photo.id,
            details={"person": str(person.pk), "warnings": [warning["code"] for warning in warnings]},
        )  # fmt: skip
    person.touch()


def add_template(photo_id: uuid.UUID, engine: FaceEngine) -> bool:
    """Create another engine's template for an accepted photo; return whether the photo now has one."""
    existing = Template.objects.filter(photo=photo_id).order_by("created_at").first()
    photo = Photo.objects.filter(pk=photo_id, status=Photo.Status.ACCEPTED).first()
    data = None if photo is None else _stored_bytes(photo)
    if existing is None or data is None:
        return False
    extracted = _same_face(data, Box(**existing.box), engine)
    if extracted is None:
        return False
    with transaction.atomic():
        person = _lock_owner(photo_id)
        templates = Template.objects.filter(photo=photo_id)
        if person is None or not templates.exists():
            return False  # erased or withdrawn in the meantime
        if not templates.filter(engine=engine_id(engine)).exists():
            _store_template(photo_id, person, extracted)
            mean_templates.recompute(person)
    return True


def _stored_bytes(photo: Photo) -> bytes | None:
    """Return the photo's stored JPEG, or None if it has been erased in the meantime."""
    try:
        with photo_storage().open(str(photo.file.name)) as file:
            return bytes(file.read())
    except FileNotFoundError:
        if not Photo.objects.filter(pk=photo.pk).exists():
            return None
        raise


def _same_face(data: bytes, box: Box, engine: FaceEngine) -> PhotoFaces | None:
    """Return the face at a box that another engine detected, or None if this engine detects none there."""
    try:
        return extraction.from_photo(
            data, engine, purpose=Purpose.REFERENCE, face=(box.left, box.top, box.width, box.height)
        )
    except PhotoRejected:
        return None


def _store_template(photo_id: uuid.UUID, person: Person, extracted: PhotoFaces) -> None:
    """Store the template of the single extracted face."""
    (face,), (vector,) = extracted.faces, extracted.vectors
    Template.objects.create(
        photo_id=photo_id,
        person=person,
        engine=extracted.engine,
        vector=pack(vector),
        box=extraction.box_json(face.detected.box),
        landmarks={name: [round(x, 1), round(y, 1)] for name, (x, y) in face.detected.landmarks.items()},
        confidence=face.detected.confidence,
        quality=face.measures.as_json(),
    )


def check(data: bytes) -> None:
    """Check whether a photo would be accepted for enrolment; nothing is stored. Raises PhotoRejected."""
    # an enrolment reads the photo after it has been re-encoded for storage
    stored = photos.encode(photos.decode(data))
    extraction.from_photo(
        stored, active_engine(), purpose=Purpose.DETECTION, quality_level="auto", face="only"
    )


def reject(photo_id: uuid.UUID, refusal: PhotoRejected) -> None:
    """Reject a pending photo and record why."""
    rejection = as_stored(refusal)
    with transaction.atomic():
        pending = Photo.objects.select_related("person").filter(pk=photo_id, status=Photo.Status.PENDING)
        photo = pending.first()
        if photo is None:
            return
        pending.update(status=Photo.Status.REJECTED, rejection=rejection, decided_at=timezone.now())
        audit.record(
            "photo.rejected", actor=WORKER, collection_id=photo.person.collection_id, object_id=photo.id,
            details={"person": str(photo.person_id), "code": refusal.code},
        )  # fmt: skip


def choose_face(photo: Photo, box: Box, *, actor: Actor) -> None:
    """Enrol the face at `box` of a rejected photo, for example one that shows several faces.

    Does nothing if the photo is not rejected or no longer exists. Raises ConsentMissing or PersonMerged.
    """
    with transaction.atomic():
        # Always lock in this order: person, then photo.
        person = _lock_owner(photo.pk)
        if person is None:
            return
        person.check_not_merged()
        if person.collection.requires_consent and not person.has_consent():
            raise ConsentMissing
        rejected = Photo.objects.filter(pk=photo.pk, status=Photo.Status.REJECTED)
        choice = [box.left, box.top, box.width, box.height]
        if not rejected.update(
            status=Photo.Status.PENDING, face_choice=choice, rejection=None, decided_at=None
        ):
            return
        outbox.request_enrolment(photo.pk)
        audit.record(
            "photo.face_chosen", actor=actor, collection_id=person.collection_id, object_id=photo.pk,
            details={"person": str(person.pk)},
        )  # fmt: skip


def withdraw(photo: Photo, *, actor: Actor) -> None:
    """Delete a photo with its templates and file, and recompute the person's mean template.

    The same photo is also deleted from records that were merged into this one, so that undoing a merge
    can't restore it.
    """
    with transaction.atomic():
        person = _lock_owner(photo.pk)
        if person is None:
            return
        remove(photo)
        if person.status != Person.Status.MERGED:
            record_ids = Person.all_record_ids(person.pk)
            for twin in Photo.objects.filter(person__in=record_ids, sha256=photo.sha256):
                remove(twin)
        mean_templates.recompute(person)
        audit.record(
            "photo.withdrawn", actor=actor, collection_id=person.collection_id, object_id=photo.pk,
            details={"person": str(person.pk)},
        )  # fmt: skip


def _lock_owner(photo_id: uuid.UUID) -> Person | None:
    """Lock and return the photo's current person; return None if the photo no longer exists.

    Must be called in a transaction. A merge may have moved the photo since it was read.
    """
    owner = Photo.objects.filter(pk=photo_id).values_list("person_id", flat=True)
    while (person_id := owner.first()) is not None:
        with suppress(_Moved), transaction.atomic():
            person = Person.objects.select_for_update().filter(pk=person_id).first()
            if owner.first() != person_id:
                raise _Moved  # releases the lock, so that two transactions can't deadlock
            return person
    return None


class _Moved(Exception):
    """The photo now belongs to another person."""


def remove(photo: Photo) -> None:
    """Delete the photo's rows and request the purge of its file. Must be called in a transaction."""
    delete_rows(Template.objects.filter(photo=photo.pk))
    delete_rows(Photo.objects.filter(pk=photo.pk))
    outbox.wake(outbox.request_file_purge(str(photo.file.name), person_id=photo.person_id))
