"""Import many photos of many people: list what a source holds, then enrol it file by file.

Every file's result is a row, written as soon as it is known, so that an import goes on where it
stopped, whatever stopped it. One photo at a time is in memory.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from people import audit, buckets, enrolment, import_records, import_sources, outbox, people_csv, registration
from people.actors import Actor
from people.errors import (
    BucketNotAllowed,
    ConsentMissing,
    FacerecError,
    ImportRefused,
    NoFaceFound,
    ObjectNotFound,
    PoorQuality,
    ProcessingFailed,
    SeveralFacesFound,
    SourceGone,
    TooManyFiles,
)
from people.import_records import UNFINISHED
from people.import_sources import MAX_ENTRIES, MAX_PATH, Source
from people.models import Collection, ImportItem, ImportJob, OutboxEntry, Person, Photo
from people.models.collection import validate_key
from people.models.photo import photo_storage
from people.outages import is_outage
from people.photos import decode

logger = logging.getLogger(__name__)
State = ImportItem.State
UPLOAD_ABANDONED_AFTER = timedelta(hours=2)
"""A stored archive that no import names by then was left by a process that died."""
BATCH = 500
"""Rows that are written or read at once."""
_REFUSALS = (ImportRefused, BucketNotAllowed, ObjectNotFound)
"""Of a source as a whole: nothing that comes back by itself."""
_SEEN_ONLY_IN_FACES = (NoFaceFound.code, SeveralFacesFound.code, PoorQuality.code)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of an import's files are in each state."""

    total: int
    pending: int = 0
    enrolled: int = 0
    known: int = 0
    rejected: int = 0
    skipped: int = 0
    persons_to_create: int | None = None
    """Of a dry run: people of the source who aren't in the collection."""

    @property
    def done(self) -> int:
        return self.total - self.pending


def submit_archive(
    file: IO[bytes], *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Keep the ZIP and have a worker import it. Raises ArchiveUnreadable or TooManyFiles."""
    import_sources.check_directory(file)
    job = _new(collection, ImportJob.Source.ZIP, "", dry_run, actor)
    name = f"imports/{job.pk}.zip"
    # Written first, so that an archive whose import never comes is removed all the same.
    leftover = outbox.purge_file(name, after=UPLOAD_ABANDONED_AFTER)
    file.seek(0)
    job.location = photo_storage().save(name, File(file))
    with transaction.atomic():
        _store(job, actor)
        OutboxEntry.objects.filter(pk=leftover.pk).delete()
        outbox.run_import(job.pk)
    return job


def submit_prefix(
    bucket: str, prefix: str, *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Have a worker import what lies under the prefix. Raises BucketNotAllowed or SourceGone."""
    buckets.check(bucket)
    if not buckets.can_be_key(prefix):
        raise SourceGone
    location = import_sources.s3_location(bucket, prefix)
    job = _new(collection, ImportJob.Source.S3, location, dry_run, actor)
    with transaction.atomic():
        _store(job, actor)
        outbox.run_import(job.pk)
    return job


def begin(location: str, *, collection: Collection, dry_run: bool = False, actor: Actor) -> ImportJob:
    """Start an import that the caller runs: of a folder, of a ZIP that stays where it is, or of a prefix.

    An unfinished one of the same source is taken up again, unless the source changed since.
    Raises SourceGone or BucketNotAllowed.
    """
    source, location = _named(location)
    old = ImportJob.objects.filter(
        collection=collection, source=source, location=location, dry_run=dry_run, state__in=UNFINISHED
    ).first()
    if old is not None:
        if not old.fingerprint or old.fingerprint == _fingerprint(old):
            return old
        cancel(old, actor=actor)
    job = _new(collection, source, location, dry_run, actor)
    with transaction.atomic():
        _store(job, actor)
    return job


def run(
    job_id: uuid.UUID,
    *,
    until: float | None = None,
    watch: Callable[[ImportItem], None] = lambda item: None,
) -> bool:
    """Go on with an import until it ended, or until `time.monotonic()` is `until`; return whether it ended.

    `watch` is told of every file that is done. Raises what `is_outage` knows; the same call goes on.
    """
    job = ImportJob.objects.select_related("collection").filter(pk=job_id, state__in=UNFINISHED).first()
    if job is None:
        return True  # deleted, done or cancelled
    try:
        with import_sources.opened(job) as source:
            people = import_sources.people_of(source)
            if not job.fingerprint:
                _plan(job, source, people)
            ended = _Run(job, source, people).go(until, watch)
    except _REFUSALS as refusal:
        _end(job, ImportJob.State.FAILED, _problem(refusal))
        return True
    if ended:
        _end(job, ImportJob.State.COMPLETE, None)
    return ended


def cancel(job: ImportJob, *, actor: Actor) -> bool:
    """Stop an import; what it enrolled stays. Return False when it had ended already."""
    return _end(job, ImportJob.State.CANCELLED, None, actor=actor)


def give_up(job_id: uuid.UUID) -> None:
    """End an import that failed again and again for no reason that it knows."""
    if (job := ImportJob.objects.filter(pk=job_id).first()) is not None:
        failure = ProcessingFailed(
            "The import failed after several tries. Start it again, or ask the operator. "
            "What it enrolled stays."
        )
        _end(job, ImportJob.State.FAILED, _problem(failure))


def counts(job: ImportJob) -> Counts:
    """Return how many files are in each state."""
    found = dict(job.items.order_by().values_list("state").annotate(Count("pk")))
    missing = None
    if job.dry_run:
        stays = Q(state=State.ENROLLED) | Q(state=State.REJECTED, problem__code__in=_SEEN_ONLY_IN_FACES)
        theirs = job.items.filter(stays, person_id=None).exclude(person_key="").order_by()
        missing = theirs.values("person_key").distinct().count()
    return Counts(sum(found.values()), **found, persons_to_create=missing)


def _named(location: str) -> tuple[ImportJob.Source, str]:
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        buckets.check(bucket)
        return ImportJob.Source.S3, import_sources.s3_location(bucket, prefix)
    path = Path(location).resolve()
    if not path.exists():
        raise SourceGone(f"There is nothing at {location}. Check the path.")
    return (ImportJob.Source.FOLDER if path.is_dir() else ImportJob.Source.ZIP), str(path)


def _new(
    collection: Collection, source: ImportJob.Source, location: str, dry_run: bool, actor: Actor
) -> ImportJob:
    return ImportJob(
        collection=collection, source=source, location=location, dry_run=dry_run, submitted_by=actor.label
    )


def _store(job: ImportJob, actor: Actor) -> None:
    job.save(force_insert=True)
    audit.record(
        "import.submitted", actor=actor, collection_id=job.collection_id, object_id=job.pk,
        details={"source": job.source, "dry_run": job.dry_run},
    )  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class _Planned:
    """In the order of import: all files of one person together."""

    key: str
    path: str
    mark: str
    problem: FacerecError | None = field(compare=False)


def _listed(source: Source, people: Mapping[str, people_csv.Row]) -> list[_Planned]:
    """Return what is to be imported, in order, and folders of people.csv that are missing."""
    found: list[_Planned] = []
    folders: set[str] = set()
    for entry in source.entries():
        if entry.path == people_csv.NAME:
            continue
        if len(found) >= MAX_ENTRIES:
            raise TooManyFiles
        folder = import_sources.folder_of(entry.path)
        problem = entry.problem
        key = ""
        if len(entry.path) > MAX_PATH or not _storable(entry.path):
            problem = problem or FacerecError("The name is too long, or not UTF-8. Rename the file.")
        elif folder is None:
            problem = problem or FacerecError(
                "The file does not lie in a person's folder. Name it person/photo.jpg."
            )
        else:
            folders.add(folder)
            key = people[folder].external_id if folder in people else folder
            try:
                validate_key(key)
            except ValidationError:
                problem = problem or FacerecError(
                    "The folder's name can't be an external_id: only letters, digits and _ . - : can. "
                    "Rename the folder, or give it an external_id in people.csv."
                )
                key = ""
        path = entry.path.encode(errors="replace").decode()[:MAX_PATH]
        found.append(_Planned(key, path, f"{entry.size}:{entry.mark}", problem))
    if not found:
        raise SourceGone("The source holds no photo. Name them person/photo.jpg.")
    for folder, row in people.items():
        if folder not in folders:
            missing = FacerecError(f"Line {row.line} of people.csv names a folder that holds no photo.")
            found.append(_Planned("", people_csv.NAME, str(row.line), missing))
    found.sort()
    return found


def _storable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(planned: list[_Planned]) -> str:
    digest = hashlib.sha256()
    for one in planned:
        digest.update(f"{one.path}\0{one.key}\0{one.mark}\0".encode())
    return digest.hexdigest()


def _fingerprint(job: ImportJob) -> str:
    try:
        with import_sources.opened(job) as source:
            return _digest(_listed(source, import_sources.people_of(source)))
    except _REFUSALS:
        return ""


def _plan(job: ImportJob, source: Source, people: Mapping[str, people_csv.Row]) -> None:
    """Write a row for every file. Done anew when it was interrupted: the fingerprint comes last."""
    planned = _listed(source, people)
    ImportItem.objects.filter(job=job).delete()
    for start in range(0, len(planned), BATCH):
        rows = [
            ImportItem(
                job=job,
                number=start + offset,
                path=one.path,
                person_key=one.key,
                state=State.SKIPPED if one.problem else State.PENDING,
                problem=_problem(one.problem, "not_importable") if one.problem else None,
            )
            for offset, one in enumerate(planned[start : start + BATCH])
        ]
        ImportItem.objects.bulk_create(rows)
    job.fingerprint = _digest(planned)
    ImportJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
        fingerprint=job.fingerprint, state=ImportJob.State.RUNNING
    )


@dataclass(frozen=True, slots=True)
class _Result:
    state: State
    problem: dict[str, Any] | None = None
    photo_id: uuid.UUID | None = None


class _Run:
    """One process's turn at an import."""

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
            return _Result(State.REJECTED, _problem(error))
        except Exception as error:
            if is_outage(error):
                raise
            # one file's fault must not keep the others out
            logger.error("Item %s of import %s failed", item.number, self._job.pk, exc_info=error)
            return _Result(State.REJECTED, _problem(ProcessingFailed()))

    def _record(self, item: ImportItem, result: _Result | None) -> None:
        if result is None:
            return
        # An erasure has the last word; a cancellation meanwhile has not.
        row = ImportItem.objects.filter(Q(state=State.PENDING) | Q(problem__code="cancelled"), pk=item.pk)
        item.state, item.problem, item.photo_id = result.state, result.problem, result.photo_id
        row.update(state=result.state, problem=result.problem, photo_id=result.photo_id)

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
            gone = FacerecError("The photo was withdrawn while it was imported.")
            return _Result(State.SKIPPED, _problem(gone, "photo_withdrawn"))
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
            twice = FacerecError("The same file comes earlier in this import.")
            return _Result(State.KNOWN, _problem(twice, "duplicate"), photo_id)
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


def _end(
    job: ImportJob, state: ImportJob.State, problem: dict[str, Any] | None, *, actor: Actor | None = None
) -> bool:
    """Close the import, unless it is closed; return whether it was open."""
    with transaction.atomic():
        import_records.drop_uploads(ImportJob.objects.filter(pk=job.pk))
        changed = ImportJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
            state=state, problem=problem, finished_at=timezone.now()
        )
        if not changed:
            return False
        if state != ImportJob.State.COMPLETE:
            why = import_records.CANCELLED
            if problem is not None:
                why = {"code": problem["code"], "detail": problem["detail"]}
            job.items.filter(state=State.PENDING).update(state=State.SKIPPED, problem=why)
        found = counts(job)
        audit.record(
            f"import.{state}", actor=actor or Actor(job.submitted_by), collection_id=job.collection_id,
            object_id=job.pk,
            details={"enrolled": found.enrolled, "known": found.known, "rejected": found.rejected,
                     "skipped": found.skipped, "dry_run": job.dry_run},
        )  # fmt: skip
    return True


def _problem(error: FacerecError, code: str | None = None) -> dict[str, Any]:
    return {"code": code or error.code, "detail": error.message, **error.extra}
