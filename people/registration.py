"""Create and change collections, people and administrators: validated, audited, and sent to the indexes."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from people import audit, outbox
from people.actors import Actor
from people.models import Collection, Person

DEFAULT_COLLECTION = "default"


def save_collection(collection: Collection, *, actor: Actor) -> Collection:
    """Store a new or changed collection. Raises ValidationError."""
    action = "collection.created" if collection._state.adding else "collection.changed"
    collection.full_clean()
    with transaction.atomic():
        collection.save()
        audit.record(action, actor=actor, collection_id=collection.pk, object_id=collection.pk)
    return collection


def ensure_default_collection(*, actor: Actor) -> None:
    """Create the collection `default` if there is none."""
    if not Collection.objects.filter(name=DEFAULT_COLLECTION).exists():
        save_collection(Collection(name=DEFAULT_COLLECTION, description="For your own people."), actor=actor)


def save_administrator(username: str, password: str, *, actor: Actor) -> User:
    """Give an administrator, created if need be, this password."""
    with transaction.atomic():
        user, _ = User.objects.get_or_create(username=username)
        user.is_staff = user.is_superuser = user.is_active = True
        user.set_password(password)
        user.save()
        audit.record("user.password_set", actor=actor, object_id=user.pk)
    return user


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
