"""Run an import: enrol its pending files one by one, or only check them in a dry run.

Each file's result is written to its row immediately, so an interrupted import resumes where it stopped. Only
one photo is in memory at a time.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from people import enrolment, import_records, outbox, registration
from people.actors import Actor
from people.errors import Cancelled, FacerecError, PhotoWithdrawn, ProcessingFailed, as_stored
from people.import_records import UNFINISHED
from people.imports import people_csv
from people.imports.dry_run import DryRun
from people.imports.results import Result, State
from people.imports.roster import Roster
from people.imports.sources import Source
from people.models import ImportItem, ImportJob, Person, Photo
from people.outages import is_outage

logger = logging.getLogger(__name__)
BATCH = 500
"""Rows per query."""


class Run:
    """One process's run of a planned import. `people` are the rows of its people.csv, by folder."""

    def __init__(self, job: ImportJob, source: Source, people: Mapping[str, people_csv.Row]) -> None:
        self._job, self._source = job, source
        self._roster = Roster(job, people)
        self._actor = Actor(job.submitted_by)
        self._process = DryRun(job, source, self._roster).check if job.dry_run else self._enrolled

    def process_pending(self, until: float | None, watch: Callable[[ImportItem], None]) -> bool:
        """Process the pending files; return whether none are left or the import was cancelled."""
        last_number = -1
        while items := list(
            self._job.items.filter(state=State.PENDING, number__gt=last_number).order_by("number")[:BATCH]
        ):
            for item in items:
                if until is not None and time.monotonic() >= until:
                    return False
                if not ImportJob.objects.filter(pk=self._job.pk, state__in=UNFINISHED).exists():
                    return True  # cancelled in the meantime
                self._record(item, self._result(item))
                watch(item)
                last_number = item.number
        return True

    def _result(self, item: ImportItem) -> Result | None:
        try:
            return self._process(item)
        except FacerecError as error:
            if is_outage(error):
                raise
            return Result(State.REJECTED, as_stored(error))
        except Exception as error:
            if is_outage(error):
                raise
            # an error in one file must not prevent the import of the others
            logger.error("File %s of import %s failed", item.number, self._job.pk, exc_info=error)
            return Result(State.REJECTED, as_stored(ProcessingFailed()))

    def _record(self, item: ImportItem, result: Result | None) -> None:
        if result is None:
            return
        # A concurrent erasure takes precedence over this result; a concurrent cancellation does not.
        row = ImportItem.objects.filter(Q(state=State.PENDING) | Q(problem__code=Cancelled.code), pk=item.pk)
        item.state, item.problem, item.photo_id = result.state, result.problem, result.photo_id
        row.update(state=result.state, problem=result.problem, photo_id=result.photo_id)
        if not ImportJob.objects.filter(pk=self._job.pk, state__in=UNFINISHED).exists():
            import_records.store_counts(self._job)  # cancelled in the meantime, and counted without this file

    def _enrolled(self, item: ImportItem) -> Result | None:
        """Enrol one file; return None if its person was erased in the meantime."""
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
                # unless another process that runs this import has just stored it for this file
                stored_for_item = ImportItem.objects.filter(pk=item.pk, photo_id=photo_id).exists()
                if not stored_for_item:
                    return Result(State.KNOWN, None, photo_id)
        enrolment.enrol(photo_id)
        outbox.record_enrolment_done(photo_id)
        photo = Photo.objects.filter(pk=photo_id).first()
        if photo is None:
            return Result(State.SKIPPED, as_stored(PhotoWithdrawn()))
        if photo.status == Photo.Status.REJECTED:
            result = Result(State.REJECTED, photo.rejection)
            with transaction.atomic():
                # the result holds the reasons; a rejected photo is not kept
                enrolment.withdraw(photo, actor=self._actor)
                self._record(item, result)
            return result
        return Result(State.ENROLLED, None, photo_id)

    def _note_photo(self, item: ImportItem, photo_id: uuid.UUID) -> None:
        ImportItem.objects.filter(pk=item.pk).update(photo_id=photo_id)

    def _person(self, item: ImportItem, data: bytes) -> Person | None:
        """Return the file's person, created if necessary; None if they have been erased.

        Also links the person's remaining files to them, so that an erasure covers those rows.
        """
        external_id = item.person_key
        if not item.person_id and not self._roster.enrolled(external_id).exists():
            self._roster.check_new(external_id, data)
        with transaction.atomic():
            # Always lock in this order: person, then item.
            persons = (
                Person.objects.filter(pk=item.person_id)
                if item.person_id
                else self._roster.enrolled(external_id)
            )
            person = persons.select_for_update().first()
            if not ImportItem.objects.select_for_update().filter(pk=item.pk, state=State.PENDING).exists():
                return None
            if person is None:
                person = self._create(external_id)
            if item.person_id != person.pk:
                files_of_person = self._job.items.filter(number__gte=item.number, person_key=external_id)
                next_person = self._job.items.filter(number__gt=item.number).exclude(person_key=external_id)
                end = next_person.order_by("number").values_list("number", flat=True).first()
                if end is not None:
                    files_of_person = files_of_person.filter(number__lt=end)
                files_of_person.update(person_id=person.pk)
        return person

    def _create(self, external_id: str) -> Person:
        try:
            with transaction.atomic():
                return registration.save_person(self._roster.new(external_id), actor=self._actor)
        except (IntegrityError, ValidationError):
            # another request created them at the same time
            person: Person | None = self._roster.enrolled(external_id).select_for_update().first()
            if person is None:
                raise
            return person
