"""What other acts change in an import's records: an erasure blanks them, an ending drops the upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from people import outbox
from people.errors import Cancelled, NoFaceFound, PersonErased, PoorQuality, SeveralFacesFound, as_stored
from people.models import ImportItem, ImportJob, Person
from people.models.import_job import Counts

ERASED = as_stored(PersonErased())
CANCELLED = as_stored(Cancelled())
_SEEN_ONLY_IN_FACES = (NoFaceFound.code, SeveralFacesFound.code, PoorQuality.code)
UNFINISHED = (ImportJob.State.PENDING, ImportJob.State.RUNNING)


def count(jobs: Sequence[ImportJob]) -> dict[UUID, Counts]:
    """Count the jobs' files by state, in two queries at most."""
    items = ImportItem.objects.filter(job__in=jobs).order_by()
    states: dict[UUID, dict[str, int]] = {job.pk: {} for job in jobs}
    for job_id, state, files in items.values_list("job", "state").annotate(Count("pk")):
        states[job_id][state] = files
    dry_runs = [job for job in jobs if job.dry_run]
    missing = {job.pk: 0 for job in dry_runs}
    if dry_runs:
        stays = Q(state=ImportItem.State.ENROLLED) | Q(
            state=ImportItem.State.REJECTED, problem__code__in=_SEEN_ONLY_IN_FACES
        )
        unknown = items.filter(stays, job__in=dry_runs, person_id=None).exclude(person_key="")
        missing |= dict(unknown.values_list("job").annotate(Count("person_key", distinct=True)))
    return {
        job_id: Counts(sum(by_state.values()), **by_state, persons_to_create=missing.get(job_id))
        for job_id, by_state in states.items()
    }


def store_counts(job: ImportJob) -> Counts:
    """Store a finished import's counts with it, and return them."""
    counts = count([job])[job.pk]
    ImportJob.objects.filter(pk=job.pk).exclude(state__in=UNFINISHED).update(counts=asdict(counts))
    return counts


def forget(person: Person) -> None:
    """Blank all that imports know of the person, and have what still waits never be enrolled.

    For people.erasure, in its transaction.
    """
    theirs = Q(person_id=person.pk)
    if person.external_id:
        # not met yet by an import that runs: it would create them anew
        theirs |= Q(
            person_id=None,
            person_key=person.external_id,
            job__collection=person.collection_id,
            job__state__in=UNFINISHED,
        )
    items = ImportItem.objects.filter(theirs)
    ids = list(items.values_list("pk", flat=True))
    for start in range(0, len(ids), 500):
        these = ImportItem.objects.filter(pk__in=ids[start : start + 500])
        waiting = these.filter(state=ImportItem.State.PENDING)
        waiting.update(state=ImportItem.State.SKIPPED, problem=ERASED)
        these.filter(problem__isnull=False).update(problem=ERASED)
        these.update(path="", person_key="", photo_id=None)


def stop(jobs: QuerySet[ImportJob]) -> None:
    """Stop these imports, as their collection goes: nothing of them is enrolled any more."""
    drop_uploads(jobs)
    unfinished = jobs.filter(state__in=UNFINISHED)
    ImportItem.objects.filter(job__in=unfinished, state=ImportItem.State.PENDING).update(
        state=ImportItem.State.SKIPPED, problem=CANCELLED
    )
    unfinished.update(state=ImportJob.State.CANCELLED, finished_at=timezone.now())


def drop_uploads(jobs: QuerySet[ImportJob]) -> None:
    """Have the archives that these imports read removed from the storage. In the caller's transaction."""
    for job in jobs.filter(source=ImportJob.Source.ZIP, state__in=UNFINISHED):
        if _kept_in_storage(job):
            outbox.wake(outbox.purge_file(job.location))


def _kept_in_storage(job: ImportJob) -> bool:
    """Return whether the job reads an upload, which is to be removed when it ends."""
    return job.source == ImportJob.Source.ZIP and not job.location.startswith("/")
