"""Erase a person, or a whole collection: gone from every answer when the call returns.

Files and a remote index's vectors follow by the outbox. The receipt is complete when they were
asked for again, and were gone.
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
"""The receipt's id, and those of all records of the human: the log outlives a database that is restored."""
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LOGGED_LINE = re.compile(f"Erasure {_ID} of ({_ID}(?: {_ID})*)")


def erase(person: Person, *, actor: Actor, reason: str = "request") -> Erasure:
    """Delete the person with all photos and templates, in one transaction.

    It is the human who is erased: all records that were merged with this one go, whichever of them
    is named, and the one receipt counts them all. `reason` is `request`, or a rule of retention.
    Raises Person.DoesNotExist when somebody else erased them first.
    """
    with transaction.atomic():
        everyone = Person.lock_everyone(person.pk)
        if not everyone:
            raise Person.DoesNotExist
        ids = [one.pk for one in everyone]
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
        Person.objects.filter(pk__in=ids).update(merged_into=None)  # it protects the kept record
        delete_rows(Person.objects.filter(pk__in=ids))
        for one in ids:
            IdempotentAnswer.objects.filter(Q(person_id=one) | Q(body__id=str(one))).delete()
        outbox.cancel_enrolments(photo_ids)
        for one_person in everyone:
            import_records.forget(one_person)
        for name in files:
            outbox.wake(outbox.purge_file(name, person_id=person.pk))
        for one in ids:
            outbox.charge_to(erasure.pk, one)
            outbox.person_changed(one)
        audit.record(
            "person.erased", actor=actor, collection_id=person.collection_id, object_id=person.pk,
            details={
                "erasure": str(erasure.pk), "reason": reason, "photos": erasure.photos,
                "templates": erasure.templates, "merged": [str(one) for one in ids if one != person.pk],
            },
        )  # fmt: skip
        _complete(erasure)
        told = " ".join(str(one) for one in ids)
        transaction.on_commit(lambda: logger.info(LOGGED, erasure.pk, told), robust=True)
        transaction.on_commit(wipe_deleted_bytes, robust=True)
    return erasure


def erased_by_log(lines: Iterable[str]) -> list[UUID]:
    """Return the ids of all whom these lines of a log tell erased, in their order, each once."""
    found = (one for line in lines for match in _LOGGED_LINE.finditer(line) for one in match[1].split())
    return list(dict.fromkeys(UUID(one) for one in found))


def purged(entry: OutboxEntry) -> None:
    """Record on the receipt that the entry's file or vector is verified gone; the last one completes it."""
    with transaction.atomic():
        outbox.done(entry)
        # read again: an erasure may have taken over the entry since it was claimed
        erasure_id = OutboxEntry.objects.filter(pk=entry.pk).values_list("erasure_id", flat=True).first()
        if erasure_id is None:
            return  # nobody was erased, or the entry is gone
        # one worker at a time, so that the last two can't both take themselves for the last but one
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
    """Erase everyone in the collection, then the collection; return how many people there were.

    Each person is a transaction of their own: interrupted, it goes on where it stopped.
    """
    erased = 0
    with transaction.atomic():
        # or they would go on adding people
        import_records.stop(ImportJob.objects.filter(collection=collection))
    while person := Person.objects.filter(collection=collection).first():
        erase(person, actor=actor)
        erased += 1
    with transaction.atomic():
        # deleted with the collection; the audit knows keys by their prefixes
        keys = list(ApiKey.objects.filter(collection=collection).values_list("prefix", flat=True))
        delete_rows(Collection.objects.filter(pk=collection.pk))
        audit.record(
            "collection.deleted", actor=actor, collection_id=collection.pk, object_id=collection.pk,
            details={"persons": erased, "api_keys": keys},
        )  # fmt: skip
    return erased
