"""Import many photos of many people: submit a source, run it turn by turn, cancel it, count its results.

`plan` lists what a source holds; `run` enrols it file by file.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from people import audit, import_records, outbox
from people.actors import Actor
from people.errors import (
    ProcessingFailed,
    SourceGone,
    as_stored,
)
from people.import_records import UNFINISHED
from people.imports import sources
from people.imports.archive import check_directory
from people.imports.plan import fingerprint, plan
from people.imports.run import Run
from people.models import Collection, ImportItem, ImportJob
from people.models.import_job import Counts
from people.models.photo import photo_storage
from people.s3 import input_buckets

State = ImportItem.State
UPLOAD_ABANDONED_AFTER = timedelta(hours=2)
"""A stored archive that no import names by then was left by a process that died."""


def submit_archive(
    file: IO[bytes], *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Keep the ZIP and have a worker import it. Raises ArchiveUnreadable or TooManyFiles."""
    check_directory(file)
    job = _new(collection, ImportJob.Source.ZIP, "", dry_run, actor)
    name = f"imports/{job.pk}.zip"
    # Written first, so that an archive whose import never comes is removed all the same.
    leftover = outbox.purge_file(name, after=UPLOAD_ABANDONED_AFTER)
    file.seek(0)
    try:
        job.location = photo_storage().save(name, File(file))
    except Exception:  # whatever the storage raises
        outbox.hasten(leftover)
        raise
    with transaction.atomic():
        _store(job, actor)
        outbox.cancel(leftover)
        outbox.run_import(job.pk)
    return job


def submit_prefix(
    bucket: str, prefix: str, *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Have a worker import what lies under the prefix. Raises BucketNotAllowed or SourceGone."""
    input_buckets.check(bucket)
    if not input_buckets.can_be_key(prefix):
        raise SourceGone
    location = sources.s3_location(bucket, prefix)
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
        if not old.fingerprint or old.fingerprint == fingerprint(old):
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
        with sources.opened(job) as source:
            people = sources.people_of(source)
            if not job.fingerprint:
                plan(job, source, people)
            ended = Run(job, source, people).go(until, watch)
    except sources.REFUSALS as refusal:
        _end(job, ImportJob.State.FAILED, as_stored(refusal))
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
        _end(job, ImportJob.State.FAILED, as_stored(failure))


def counts(job: ImportJob) -> Counts:
    """Return how many files are in each state."""
    return next(iter(with_counts([job]))).current_counts


def with_counts(jobs: Sequence[ImportJob]) -> Sequence[ImportJob]:
    """Attach to each job its `current_counts`.

    Those of a finished import are stored with it: counting takes time proportional to its files.
    """
    live = import_records.count([job for job in jobs if job.counts is None])
    for job in jobs:
        job.current_counts = live[job.pk] if job.counts is None else Counts(**job.counts)
    return jobs


def _named(location: str) -> tuple[ImportJob.Source, str]:
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        input_buckets.check(bucket)
        return ImportJob.Source.S3, sources.s3_location(bucket, prefix)
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
        found = import_records.store_counts(job)
        audit.record(
            f"import.{state}", actor=actor or Actor(job.submitted_by), collection_id=job.collection_id,
            object_id=job.pk,
            details={"enrolled": found.enrolled, "known": found.known, "rejected": found.rejected,
                     "skipped": found.skipped, "dry_run": job.dry_run},
        )  # fmt: skip
    return True
