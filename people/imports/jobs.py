"""Import jobs: submit a source, run the import a little at a time, cancel it, count its results.

`people.imports.plan` lists the source's files; `people.imports.run` enrols them one by one.
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
"""A stored archive that has no import after this time was left behind by a process that died."""


def submit_archive(
    file: IO[bytes], *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Store the ZIP and queue its import for a worker. Raises ArchiveUnreadable or TooManyFiles."""
    check_directory(file)
    job = _new(collection, ImportJob.Source.ZIP, "", dry_run, actor)
    name = f"imports/{job.pk}.zip"
    # Requested first, so that the archive is deleted even if its import is never stored.
    purge = outbox.request_file_purge(name, after=UPLOAD_ABANDONED_AFTER)
    file.seek(0)
    try:
        job.location = photo_storage().save(name, File(file))
    except Exception:  # any error of the storage
        outbox.make_due_now(purge)
        raise
    with transaction.atomic():
        _store(job, actor)
        outbox.cancel(purge)
        outbox.request_import(job.pk)
    return job


def submit_prefix(
    bucket: str, prefix: str, *, collection: Collection, dry_run: bool = False, actor: Actor
) -> ImportJob:
    """Queue an import of all objects under the prefix for a worker. Raises BucketNotAllowed or SourceGone."""
    input_buckets.check(bucket)
    if not input_buckets.can_be_key(prefix):
        raise SourceGone
    location = sources.s3_location(bucket, prefix)
    job = _new(collection, ImportJob.Source.S3, location, dry_run, actor)
    with transaction.atomic():
        _store(job, actor)
        outbox.request_import(job.pk)
    return job


def begin(location: str, *, collection: Collection, dry_run: bool = False, actor: Actor) -> ImportJob:
    """Start an import that the caller runs: of a folder, a ZIP file read in place, or a bucket prefix.

    An unfinished import of the same source is returned, to be resumed. If its source has changed since it
    began, it is cancelled and a new one is started. Raises SourceGone or BucketNotAllowed.
    """
    source, location = _parsed(location)
    unfinished = ImportJob.objects.filter(
        collection=collection, source=source, location=location, dry_run=dry_run, state__in=UNFINISHED
    ).first()
    if unfinished is not None:
        if not unfinished.fingerprint or unfinished.fingerprint == fingerprint(unfinished):
            return unfinished
        cancel(unfinished, actor=actor)
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
    """Run an import until it ends or `time.monotonic()` reaches `until`; return whether it has ended.

    `watch` is called with every processed file. Raises errors for which `is_outage` is true; call it again
    to resume.
    """
    job = ImportJob.objects.select_related("collection").filter(pk=job_id, state__in=UNFINISHED).first()
    if job is None:
        return True  # deleted, complete, failed or cancelled
    try:
        with sources.opened(job) as source:
            people = sources.people_of(source)
            if not job.fingerprint:
                plan(job, source, people)
            has_ended = Run(job, source, people).process_pending(until, watch)
    except sources.REFUSALS as refusal:
        _end(job, ImportJob.State.FAILED, as_stored(refusal))
        return True
    if has_ended:
        _end(job, ImportJob.State.COMPLETE, None)
    return has_ended


def cancel(job: ImportJob, *, actor: Actor) -> bool:
    """Stop an import; the photos that it enrolled are kept. Return False if it had already ended."""
    return _end(job, ImportJob.State.CANCELLED, None, actor=actor)


def give_up(job_id: uuid.UUID) -> None:
    """End an import whose outbox entry has become a failed task, because of an unexpected error."""
    if (job := ImportJob.objects.filter(pk=job_id).first()) is not None:
        failure = ProcessingFailed(
            "The import failed after several attempts. Start it again, or ask the operator. "
            "The photos that it enrolled are kept."
        )
        _end(job, ImportJob.State.FAILED, as_stored(failure))


def counts(job: ImportJob) -> Counts:
    """Return the number of files in each state."""
    return next(iter(with_counts([job]))).current_counts


def with_counts(jobs: Sequence[ImportJob]) -> Sequence[ImportJob]:
    """Set `current_counts` on each job, and return the jobs.

    A finished import's counts are stored in its row, because counting takes time proportional to its files.
    """
    live = import_records.count([job for job in jobs if job.counts is None])
    for job in jobs:
        job.current_counts = live[job.pk] if job.counts is None else Counts(**job.counts)
    return jobs


def _parsed(location: str) -> tuple[ImportJob.Source, str]:
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        input_buckets.check(bucket)
        return ImportJob.Source.S3, sources.s3_location(bucket, prefix)
    path = Path(location).resolve()
    if not path.exists():
        raise SourceGone(f"{location} doesn't exist. Check the path.")
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
    """End the import, unless it has already ended; return whether it was unfinished."""
    with transaction.atomic():
        import_records.drop_uploads(ImportJob.objects.filter(pk=job.pk))
        changed = ImportJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
            state=state, problem=problem, finished_at=timezone.now()
        )
        if not changed:
            return False
        if state != ImportJob.State.COMPLETE:
            item_problem = import_records.CANCELLED
            if problem is not None:
                item_problem = {"code": problem["code"], "detail": problem["detail"]}
            job.items.filter(state=State.PENDING).update(state=State.SKIPPED, problem=item_problem)
        final_counts = import_records.store_counts(job)
        audit.record(
            f"import.{state}", actor=actor or Actor(job.submitted_by), collection_id=job.collection_id,
            object_id=job.pk,
            details={"enrolled": final_counts.enrolled, "known": final_counts.known,
                     "rejected": final_counts.rejected, "skipped": final_counts.skipped,
                     "dry_run": job.dry_run},
        )  # fmt: skip
    return True
