"""Erase a person or a whole collection: when the call returns, no response includes them any more.

The outbox then purges the files (people.delivery) and a remote index's vectors (people.index_sync.purge).
The erasure receipt is complete once lookups have verified that all of them are deleted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from people import audit, import_records, mean_templates, outbox
from people.actors import Actor
from people.database import wipe_deleted_bytes
from people.models import (
    ApiKey,
    Collection,
    Erasure,
    IdempotentAnswer,
    ImportJob,
    MeanTemplate,
    OutboxEntry,
    Person,
    Photo,
    Template,
)
from people.models.guarded import delete_rows

logger = logging.getLogger(__name__)
LOGGED = "Erasure %s of %s"
"""The ids of the receipt and of all the person's records. Unlike the database, the log survives a restore."""
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LOGGED_LINE = re.compile(f"Erasure {_ID} of ({_ID}(?: {_ID})*)")


def erase(person: Person, *, actor: Actor, reason: str = "request") -> Erasure:
    """Delete the person with all photos and templates, in one transaction.

    All records merged with this one are erased too, whichever of them you pass, and one receipt counts
    them all. `reason` is `request`, `reapplied`, or the name of a retention rule.
    Raises Person.DoesNotExist if they have already been erased.
    """
    with transaction.atomic():
        records = Person.lock_all_records(person.pk)
        if not records:
            raise Person.DoesNotExist
        ids = [record.pk for record in records]
        photos = Photo.objects.filter(person__in=ids)
        photo_ids, files = (
            list(photos.values_list("id", flat=True)),
            list(photos.values_list("file", flat=True)),
        )
        erasure = Erasure.objects.create(
            person_id=person.pk,
            collection_id=person.collection_id,
            reason=reason,
            photos=len(photo_ids),
            templates=delete_rows(Template.objects.filter(person__in=ids)),
            requested_by=actor.label,
        )
        mean_templates.drop(MeanTemplate.objects.filter(person__in=ids))
        delete_rows(photos)
        Person.objects.filter(pk__in=ids).update(merged_into=None)  # PROTECT would block the deletion
        delete_rows(Person.objects.filter(pk__in=ids))
        for record_id in ids:
            IdempotentAnswer.objects.filter(Q(person_id=record_id) | Q(body__id=str(record_id))).delete()
        outbox.cancel_enrolments(photo_ids)
        for record in records:
            import_records.forget(record)
        for name in files:
            outbox.wake(outbox.request_file_purge(name, person_id=person.pk))
        for record_id in ids:
            outbox.assign_purges_to_receipt(erasure.pk, record_id)
            outbox.person_changed(record_id)
        audit.record(
            "person.erased", actor=actor, collection_id=person.collection_id, object_id=person.pk,
            details={
                "erasure": str(erasure.pk), "reason": reason,
                "photos": erasure.photos, "templates": erasure.templates,
                "merged": [str(record_id) for record_id in ids if record_id != person.pk],
            },
        )  # fmt: skip
        _complete(erasure)
        logged_ids = " ".join(str(record_id) for record_id in ids)
        transaction.on_commit(lambda: logger.info(LOGGED, erasure.pk, logged_ids), robust=True)
        transaction.on_commit(wipe_deleted_bytes, robust=True)
    return erasure


def erased_by_log(lines: Iterable[str]) -> list[UUID]:
    """Return the ids of all people whose erasure these log lines record, in order, without duplicates."""
    logged_ids = (
        text for line in lines for match in _LOGGED_LINE.finditer(line) for text in match[1].split()
    )
    return list(dict.fromkeys(UUID(text) for text in logged_ids))


def record_purged(entry: OutboxEntry) -> None:
    """Record on the receipt that the entry's file or vector was purged; the last purge completes it."""
    with transaction.atomic():
        outbox.record_done(entry)
        # read again: an erasure may have taken over the entry since it was claimed
        erasure_id = OutboxEntry.objects.filter(pk=entry.pk).values_list("erasure_id", flat=True).first()
        if erasure_id is None:
            return  # the purge belongs to no erasure, or the entry no longer exists
        # locked, so that two workers can't both miss that theirs was the last purge
        erasure = Erasure.objects.select_for_update().filter(pk=erasure_id).first()
        if erasure is None:
            return
        counted = "files_purged" if entry.topic == OutboxEntry.Topic.PURGE_FILE else "vectors_purged"
        Erasure.objects.filter(pk=erasure.pk).update(**{counted: F(counted) + 1})
        _complete(erasure)


def _complete(erasure: Erasure) -> None:
    if not OutboxEntry.objects.filter(erasure_id=erasure.pk, done_at=None).exists():
        erasure.completed_at = timezone.now()
        Erasure.objects.filter(pk=erasure.pk, completed_at=None).update(completed_at=erasure.completed_at)


def erase_collection(collection: Collection, *, actor: Actor) -> int:
    """Erase everyone in the collection, then delete the collection; return how many people were erased.

    Each person is erased in a separate transaction. If interrupted, call it again to resume.
    """
    erased = 0
    with transaction.atomic():
        # otherwise they would keep adding people
        import_records.stop(ImportJob.objects.filter(collection=collection))
    while person := Person.objects.filter(collection=collection).first():
        erase(person, actor=actor)
        erased += 1
    with transaction.atomic():
        # the collection's keys are deleted with it; the audit identifies keys by prefix
        keys = list(ApiKey.objects.filter(collection=collection).values_list("prefix", flat=True))
        delete_rows(Collection.objects.filter(pk=collection.pk))
        audit.record(
            "collection.deleted", actor=actor, collection_id=collection.pk, object_id=collection.pk,
            details={"persons": erased, "api_keys": keys},
        )  # fmt: skip
    return erased
