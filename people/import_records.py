"""An import's rows as other operations need them: counts, erased people, and deleted collections."""

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
    """Return the number of files in each state, by job id, with at most two queries."""
    items = ImportItem.objects.filter(job__in=jobs).order_by()
    by_job: dict[UUID, dict[str, int]] = {job.pk: {} for job in jobs}
    for job_id, state, files in items.values_list("job", "state").annotate(Count("pk")):
        by_job[job_id][state] = files
    dry_runs = [job for job in jobs if job.dry_run]
    persons_to_create = {job.pk: 0 for job in dry_runs}
    if dry_runs:
        creates_person = Q(state=ImportItem.State.ENROLLED) | Q(
            state=ImportItem.State.REJECTED, problem__code__in=_SEEN_ONLY_IN_FACES
        )
        new_persons = items.filter(creates_person, job__in=dry_runs, person_id=None).exclude(person_key="")
        persons_to_create |= dict(new_persons.values_list("job").annotate(Count("person_key", distinct=True)))
    return {
        job_id: Counts(sum(by_state.values()), **by_state, persons_to_create=persons_to_create.get(job_id))
        for job_id, by_state in by_job.items()
    }


def store_counts(job: ImportJob) -> Counts:
    """Store a finished import's counts in its row, and return them."""
    counts = count([job])[job.pk]
    ImportJob.objects.filter(pk=job.pk).exclude(state__in=UNFINISHED).update(counts=asdict(counts))
    return counts


def forget(person: Person) -> None:
    """Blank everything that imports have stored about the person, and skip their pending files.

    Called by people.erasure in its transaction.
    """
    of_person = Q(person_id=person.pk)
    if person.external_id:
        # an unfinished import that has not reached their files yet would create them again
        of_person |= Q(
            person_id=None,
            person_key=person.external_id,
            job__collection=person.collection_id,
            job__state__in=UNFINISHED,
        )
    items = ImportItem.objects.filter(of_person)
    ids = list(items.values_list("pk", flat=True))
    for start in range(0, len(ids), 500):
        chunk = ImportItem.objects.filter(pk__in=ids[start : start + 500])
        pending = chunk.filter(state=ImportItem.State.PENDING)
        pending.update(state=ImportItem.State.SKIPPED, problem=ERASED)
        chunk.filter(problem__isnull=False).update(problem=ERASED)
        chunk.update(path="", person_key="", photo_id=None)


def stop(jobs: QuerySet[ImportJob]) -> None:
    """Stop these imports because their collection is being deleted. Nothing more is enrolled."""
    drop_uploads(jobs)
    unfinished = jobs.filter(state__in=UNFINISHED)
    ImportItem.objects.filter(job__in=unfinished, state=ImportItem.State.PENDING).update(
        state=ImportItem.State.SKIPPED, problem=CANCELLED
    )
    unfinished.update(state=ImportJob.State.CANCELLED, finished_at=timezone.now())


def drop_uploads(jobs: QuerySet[ImportJob]) -> None:
    """Request the purge of these unfinished imports' uploads. Must be called in a transaction."""
    for job in jobs.filter(source=ImportJob.Source.ZIP, state__in=UNFINISHED):
        if _is_upload(job):
            outbox.wake(outbox.request_file_purge(job.location))


def _is_upload(job: ImportJob) -> bool:
    """Return whether the job reads an uploaded archive, which must be removed when the import ends."""
    return job.source == ImportJob.Source.ZIP and not job.location.startswith("/")
