"""Create and change collections and persons: validated, audited, and told to the index."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from people import audit, outbox
from people.actors import Actor
from people.models import Collection, Person


def save_collection(collection: Collection, *, actor: Actor) -> Collection:
    """Store a new or changed collection. Raises ValidationError."""
    action = "collection.created" if collection._state.adding else "collection.changed"
    collection.full_clean()
    with transaction.atomic():
        collection.save()
        audit.record(action, actor=actor, collection_id=collection.pk, object_id=collection.pk)
    return collection


def save_person(person: Person, *, actor: Actor) -> Person:
    """Store a new or changed person. Raises ValidationError, or PersonMerged.

    Nobody becomes merged, or is no longer merged, by a change: that is `people.merging`'s.
    """
    is_new = person._state.adding
    person.clean_fields()
    person.clean()
    person.validate_constraints()
    with transaction.atomic():
        if not is_new:
            # a person who was erased or merged meanwhile must not come back
            stored = Person.objects.select_for_update().get(pk=person.pk)
            stored.check_not_merged()
            person.last_interaction_at = stored.last_interaction_at
        if person.status == Person.Status.MERGED:
            raise ValidationError({"status": "People are merged by `merge`, not by a change of status."})
        if person.status == Person.Status.ACTIVE:
            person.last_interaction_at = timezone.now()
        person.save(force_insert=is_new, force_update=not is_new)
        outbox.person_changed(person.pk)
        audit.record(
            "person.created" if is_new else "person.changed",
            actor=actor,
            collection_id=person.collection_id,
            object_id=person.pk,
            details={"status": person.status},
        )
    return person
