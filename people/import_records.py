"""What other acts change in an import's records: an erasure blanks them, an ending drops the upload."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from people import outbox
from people.errors import Cancelled, PersonErased, as_stored
from people.models import ImportItem, ImportJob, Person

ERASED = as_stored(PersonErased())
CANCELLED = as_stored(Cancelled())
UNFINISHED = (ImportJob.State.PENDING, ImportJob.State.RUNNING)


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
