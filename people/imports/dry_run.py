"""A dry run: what an import would do, without storing any photo."""

from __future__ import annotations

import hashlib
import uuid

from people import enrolment
from people.errors import ConsentMissing, Duplicate, as_stored
from people.imports.results import Result, State
from people.imports.roster import Roster
from people.imports.sources import Source
from people.models import ImportItem, ImportJob, Photo


class DryRun:
    """Checks the files of an import one by one, in their order."""

    def __init__(self, job: ImportJob, source: Source, roster: Roster) -> None:
        self._job, self._source, self._roster = job, source, roster
        self._person_key: str | None = None
        self._seen: set[uuid.UUID] = set()
        """Placeholder ids of the current person's files so far."""

    def check(self, item: ImportItem) -> Result:
        """Return the result that an import would give for the file. Raises FacerecError if it would fail."""
        data = self._source.read(item.path)
        sha256 = hashlib.sha256(data).hexdigest()
        person = self._roster.enrolled(item.person_key).first()
        if person is None:
            self._roster.check_new(item.person_key, data)
        elif self._job.collection.requires_consent and not person.has_consent():
            raise ConsentMissing
        else:
            item.person_id = person.pk
            ImportItem.objects.filter(pk=item.pk).update(person_id=person.pk)
            enrolled = Photo.objects.filter(person=person, sha256=sha256).exclude(
                status=Photo.Status.REJECTED
            )
            if (photo := enrolled.first()) is not None:
                return Result(State.KNOWN, None, photo.pk)
        # a placeholder for the id of the photo that an import would store
        photo_id = uuid.UUID(hashlib.sha256(f"{item.person_key}\0{sha256}".encode()).hexdigest()[:32])
        if photo_id in self._seen_before(item):
            return Result(State.KNOWN, as_stored(Duplicate()), photo_id)
        enrolment.check(data)
        self._seen.add(photo_id)
        return Result(State.ENROLLED, None, photo_id)

    def _seen_before(self, item: ImportItem) -> set[uuid.UUID]:
        """Return the placeholder ids of the person's files that were checked earlier in this dry run."""
        if self._person_key is None:  # an earlier process or turn may have checked some
            earlier = self._job.items.filter(number__lt=item.number, person_key=item.person_key)
            self._seen = {
                photo_id for photo_id in earlier.values_list("photo_id", flat=True) if photo_id is not None
            }
        elif self._person_key != item.person_key:
            self._seen = set()
        self._person_key = item.person_key
        return self._seen
