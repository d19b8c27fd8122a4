"""Erase a person, or a whole collection: gone from every answer when the call returns."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from people import audit, outbox
from people.actors import Actor
from people.models import (
    Collection,
    Erasure,
    IdempotentAnswer,
    MeanTemplate,
    OutboxEntry,
    Person,
    Photo,
    Template,
)
from people.models.guarded import delete_rows


def erase(person: Person, *, actor: Actor, reason: str = "request") -> Erasure:
    """Delete the person with all photos and templates, in one transaction; files follow by the outbox.

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
        templates = delete_rows(Template.objects.filter(person__in=ids))
        delete_rows(MeanTemplate.objects.filter(person__in=ids))
        photo_ids, files = (
            list(photos.values_list("id", flat=True)),
            list(photos.values_list("file", flat=True)),
        )
        delete_rows(photos)
        Person.objects.filter(pk__in=ids).update(merged_into=None)  # it protects the kept record
        delete_rows(Person.objects.filter(pk__in=ids))
        for one in ids:
            IdempotentAnswer.objects.filter(Q(person_id=one) | Q(body__id=str(one))).delete()
        OutboxEntry.objects.filter(photo_id__in=photo_ids).delete()
        for name in files:
            outbox.wake(outbox.purge_file(name))
        for one in ids:
            outbox.person_changed(one)
        erasure = Erasure.objects.create(
            person_id=person.pk,
            collection_id=person.collection_id,
            reason=reason,
            photos=len(photo_ids),
            templates=templates,
            requested_by=actor.label,
        )
        audit.record(
            "person.erased", actor=actor, collection_id=person.collection_id, object_id=person.pk,
            details={
                "erasure": str(erasure.pk), "reason": reason, "photos": len(photo_ids),
                "templates": templates, "merged": [str(one) for one in ids if one != person.pk],
            },
        )  # fmt: skip
    return erasure


def erase_collection(collection: Collection, *, actor: Actor) -> int:
    """Erase everyone in the collection, then the collection; return how many people there were.

    Each person is a transaction of their own: interrupted, it goes on where it stopped.
    """
    erased = 0
    while person := Person.objects.filter(collection=collection).first():
        erase(person, actor=actor)
        erased += 1
    with transaction.atomic():
        delete_rows(Collection.objects.filter(pk=collection.pk))
        audit.record(
            "collection.deleted", actor=actor, collection_id=collection.pk, object_id=collection.pk,
            details={"persons": erased},
        )  # fmt: skip
    return erased
