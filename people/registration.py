"""Create and change collections, people and administrators, with validation, audit and index updates."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from people import audit, outbox
from people.actors import Actor
from people.models import Collection, Person

DEFAULT_COLLECTION = "default"


def save_collection(collection: Collection, *, actor: Actor) -> Collection:
    """Store a new or changed collection.

    Raises ValidationError, or Collection.DoesNotExist if another request has deleted it.
    """
    is_new = collection._state.adding
    collection.full_clean()
    with transaction.atomic():
        if not is_new:
            # saving must not restore a collection that another request has deleted
            Collection.objects.select_for_update().get(pk=collection.pk)
        collection.save(force_insert=is_new, force_update=not is_new)
        audit.record(
            "collection.created" if is_new else "collection.changed",
            actor=actor,
            collection_id=collection.pk,
            object_id=collection.pk,
        )
    return collection


def ensure_default_collection(*, actor: Actor) -> None:
    """Create the collection `default` unless it exists."""
    if not Collection.objects.filter(name=DEFAULT_COLLECTION).exists():
        save_collection(Collection(name=DEFAULT_COLLECTION, description="For your own people."), actor=actor)


def save_administrator(username: str, password: str, *, actor: Actor) -> User:
    """Set the administrator's password, and create the administrator if there is none with this name.

    Raises ValidationError if Django's validators reject the name or the password.
    """
    with transaction.atomic():
        stored = User.objects.select_for_update().filter(username=username).first()
        user = stored or User(username=username)
        user.is_staff = user.is_superuser = user.is_active = True
        user.full_clean(exclude=["password"])
        validate_password(password, user)
        user.set_password(password)
        user.save()
        audit.record("user.password_set", actor=actor, object_id=user.pk, details={"created": stored is None})
    return user


def save_person(person: Person, *, actor: Actor) -> Person:
    """Store a new or changed person.

    This function doesn't merge people or undo merges: see `people.merging`. Raises ValidationError,
    PersonMerged, or Person.DoesNotExist if another request has erased the person.
    """
    is_new = person._state.adding
    person.clean_fields()
    person.clean()
    person.validate_constraints()
    with transaction.atomic():
        if not is_new:
            # saving must not restore a person whom another request has erased or merged
            stored = Person.objects.select_for_update().get(pk=person.pk)
            stored.check_not_merged()
            person.last_interaction_at = stored.last_interaction_at
        if person.status == Person.Status.MERGED:
            raise ValidationError({"status": "Status can't be set to merged. Use `merge` to merge people."})
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
