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


def erase(person: Person, *, actor: Actor) -> Erasure:
    """Delete the person with all photos and templates, in one transaction; files follow by the outbox.

    Raises Person.DoesNotExist when somebody else erased them first.
    """
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=person.pk)
        photos = Photo.objects.filter(person=person)
        templates = delete_rows(Template.objects.filter(person=person))
        delete_rows(MeanTemplate.objects.filter(person=person))
        photo_ids, files = (
            list(photos.values_list("id", flat=True)),
            list(photos.values_list("file", flat=True)),
        )
        delete_rows(photos)
        delete_rows(Person.objects.filter(pk=person.pk))
        IdempotentAnswer.objects.filter(Q(person_id=person.pk) | Q(body__id=str(person.pk))).delete()
        OutboxEntry.objects.filter(photo_id__in=photo_ids).delete()
        for name in files:
            outbox.wake(outbox.purge_file(name))
        outbox.person_changed(person.pk)
        erasure = Erasure.objects.create(
            person_id=person.pk,
            collection_id=person.collection_id,
            photos=len(photo_ids),
            templates=templates,
            requested_by=actor.label,
        )
        audit.record(
            "person.erased", actor=actor, collection_id=person.collection_id, object_id=person.pk,
            details={"erasure": str(erasure.pk), "photos": len(photo_ids), "templates": templates},
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
