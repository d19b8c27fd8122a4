"""An import's turn: its pending files are enrolled, or judged in a dry run, one after the other.

Every file's result is a row, written as soon as it is known, so that an import goes on where it
stopped, whatever stopped it. One photo at a time is in memory.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from people import enrolment, import_records, outbox, registration
from people.actors import Actor
from people.errors import (
    Cancelled,
    ConsentMissing,
    Duplicate,
    FacerecError,
    PhotoWithdrawn,
    ProcessingFailed,
    as_stored,
)
from people.import_records import UNFINISHED
from people.imports import people_csv
from people.imports.sources import Source
from people.models import ImportItem, ImportJob, Person, Photo
from people.outages import is_outage
from people.photos import decode

logger = logging.getLogger(__name__)
BATCH = 500
"""Rows that are read at once."""
State = ImportItem.State


@dataclass(frozen=True, slots=True)
class _Result:
    state: State
    problem: dict[str, Any] | None = None
    photo_id: uuid.UUID | None = None


class Run:
    """One process's turn at an import that is planned; `people` are the rows of its people.csv."""

    def __init__(self, job: ImportJob, source: Source, people: Mapping[str, people_csv.Row]) -> None:
        self._job, self._source = job, source
        self._rows = {row.external_id: row for row in people.values()}
        self._actor = Actor(job.submitted_by)
        self._seen_of: str | None = None
        self._seen: set[uuid.UUID] = set()

    def go(self, until: float | None, watch: Callable[[ImportItem], None]) -> bool:
        """Import what is pending; return whether nothing is left."""
        last = -1
        while items := list(
            self._job.items.filter(state=State.PENDING, number__gt=last).order_by("number")[:BATCH]
        ):
            for item in items:
                if until is not None and time.monotonic() >= until:
                    return False
                if not ImportJob.objects.filter(pk=self._job.pk, state__in=UNFINISHED).exists():
                    return True  # cancelled meanwhile
                self._record(item, self._result(item))
                watch(item)
                last = item.number
        return True

    def _result(self, item: ImportItem) -> _Result | None:
        try:
            return self._judged(item) if self._job.dry_run else self._enrolled(item)
        except FacerecError as error:
            if is_outage(error):
                raise
            return _Result(State.REJECTED, as_stored(error))
        except Exception as error:
            if is_outage(error):
                raise
            # one file's fault must not keep the others out
            logger.error("Item %s of import %s failed", item.number, self._job.pk, exc_info=error)
            return _Result(State.REJECTED, as_stored(ProcessingFailed()))

    def _record(self, item: ImportItem, result: _Result | None) -> None:
        if result is None:
            return
        # An erasure has the last word; a cancellation meanwhile has not.
        row = ImportItem.objects.filter(Q(state=State.PENDING) | Q(problem__code=Cancelled.code), pk=item.pk)
        item.state, item.problem, item.photo_id = result.state, result.problem, result.photo_id
        row.update(state=result.state, problem=result.problem, photo_id=result.photo_id)
        if not ImportJob.objects.filter(pk=self._job.pk, state__in=UNFINISHED).exists():
            import_records.store_counts(self._job)  # cancelled meanwhile, and counted without this file

    def _enrolled(self, item: ImportItem) -> _Result | None:
        """Enrol one file; None when its person was erased meanwhile."""
        photo_id = item.photo_id
        if photo_id is None:
            data = self._source.read(item.path)
            person = self._person(item, data)
            if person is None:
                return None
            try:
                submission = enrolment.submit(
                    person,
                    data,
                    actor=self._actor,
                    attend=lambda photo: self._note_photo(item, photo.pk),
                )
            except Person.DoesNotExist:
                return None
            photo_id = submission.photo.pk
            if not submission.created:
                # another process at the same import may have stored it just now
                mine = ImportItem.objects.filter(pk=item.pk, photo_id=photo_id).exists()
                if not mine:
                    return _Result(State.KNOWN, None, photo_id)
        enrolment.enrol(photo_id)
        outbox.photo_enrolled(photo_id)
        photo = Photo.objects.filter(pk=photo_id).first()
        if photo is None:
            return _Result(State.SKIPPED, as_stored(PhotoWithdrawn()))
        if photo.status == Photo.Status.REJECTED:
            result = _Result(State.REJECTED, photo.rejection)
            with transaction.atomic():
                # its result says it all: a photo that can't be used leaves nothing behind
                enrolment.withdraw(photo, actor=self._actor)
                self._record(item, result)
            return result
        return _Result(State.ENROLLED, None, photo_id)

    def _note_photo(self, item: ImportItem, photo_id: uuid.UUID) -> None:
        ImportItem.objects.filter(pk=item.pk).update(photo_id=photo_id)

    def _person(self, item: ImportItem, data: bytes) -> Person | None:
        """Return whose photo it is, made if need be; None when they were erased.

        From then on an erasure finds all that this import has of them.
        """
        external_id = item.person_key
        if not item.person_id and not self._found(external_id).exists():
            self._check_new(external_id, data)
        with transaction.atomic():
            # In this order everywhere: person, then item.
            known = Person.objects.filter(pk=item.person_id) if item.person_id else self._found(external_id)
            person = known.select_for_update().first()
            if not ImportItem.objects.select_for_update().filter(pk=item.pk, state=State.PENDING).exists():
                return None
            if person is None:
                person = self._create(external_id)
            if item.person_id != person.pk:
                theirs = self._job.items.filter(number__gte=item.number, person_key=external_id)
                after = self._job.items.filter(number__gt=item.number).exclude(person_key=external_id)
                end = after.order_by("number").values_list("number", flat=True).first()
                if end is not None:
                    theirs = theirs.filter(number__lt=end)
                theirs.update(person_id=person.pk)
        return person

    def _found(self, external_id: str) -> Any:
        return Person.objects.filter(collection=self._job.collection_id, external_id=external_id)

    def _check_new(self, external_id: str, data: bytes) -> None:
        """Refuse before anybody is created. Raises ConsentMissing or PhotoRejected."""
        if self._job.collection.requires_consent and not self._new_person(external_id).has_consent():
            raise ConsentMissing
        decode(data)

    def _new_person(self, external_id: str) -> Person:
        row = self._rows.get(external_id)
        fields = dict(row.fields) if row else {}
        return Person(collection=self._job.collection, external_id=external_id, **fields)

    def _create(self, external_id: str) -> Person:
        try:
            with transaction.atomic():
                return registration.save_person(self._new_person(external_id), actor=self._actor)
        except (IntegrityError, ValidationError):
            # somebody else created them at the same time
            found: Person | None = self._found(external_id).select_for_update().first()
            if found is None:
                raise
            return found

    def _judged(self, item: ImportItem) -> _Result:
        """Say what an enrolment of the file would give."""
        data = self._source.read(item.path)
        sha256 = hashlib.sha256(data).hexdigest()
        person = self._found(item.person_key).first()
        if person is None:
            self._check_new(item.person_key, data)
        elif self._job.collection.requires_consent and not person.has_consent():
            raise ConsentMissing
        else:
            item.person_id = person.pk
            ImportItem.objects.filter(pk=item.pk).update(person_id=person.pk)
            same = Photo.objects.filter(person=person, sha256=sha256).exclude(status=Photo.Status.REJECTED)
            if (photo := same.first()) is not None:
                return _Result(State.KNOWN, None, photo.pk)
        # stands for the photo that there would be
        photo_id = uuid.UUID(hashlib.sha256(f"{item.person_key}\0{sha256}".encode()).hexdigest()[:32])
        if photo_id in self._seen_before(item):
            return _Result(State.KNOWN, as_stored(Duplicate()), photo_id)
        enrolment.check(data)
        self._seen.add(photo_id)
        return _Result(State.ENROLLED, None, photo_id)

    def _seen_before(self, item: ImportItem) -> set[uuid.UUID]:
        """Return the person's photos that came before in this dry run."""
        if self._seen_of is None:  # the turn before may have seen some
            before = self._job.items.filter(number__lt=item.number, person_key=item.person_key)
            self._seen = {found for found in before.values_list("photo_id", flat=True) if found is not None}
        elif self._seen_of != item.person_key:
            self._seen = set()
        self._seen_of = item.person_key
        return self._seen
