"""Who must go, and when: by the rules of each collection. Whoever is due is erased, with a receipt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from people import erasure
from people.actors import Actor
from people.models import Collection, Erasure, Person

GRACE = timedelta(days=1)
"""After the expiry of a consent, so that one that is renewed in time zones elsewhere isn't too late."""


@dataclass(frozen=True, slots=True)
class Due:
    person_id: UUID
    collection: Collection
    rule: str
    """`consent_expired` or `unseen`; the reason on the receipt."""
    since: datetime


def due(collections: list[Collection] | None = None) -> Iterator[Due]:
    """Yield who is to be erased now, collection by collection; of all collections by default."""
    for collection in Collection.objects.order_by("name") if collections is None else collections:
        found: set[UUID] = set()
        for rule, condition in _rules(collection).items():
            rows = Person.objects.filter(condition, collection=collection).exclude(pk__in=found)
            for person in rows.order_by("pk").iterator():
                found.add(person.pk)
                yield Due(person.pk, collection, rule, _since(person, rule, collection))


def apply(one: Due, *, actor: Actor) -> Erasure | None:
    """Erase who is due, unless the rule no longer says so; return the receipt, or None."""
    with transaction.atomic():
        condition = _rules(one.collection).get(one.rule)
        if condition is None:
            return None
        # under the lock: a consent may have been renewed since, or the person found
        person = (
            Person.objects.select_for_update(of=("self",))
            .filter(condition, pk=one.person_id, collection=one.collection)
            .first()
        )
        return erasure.erase(person, actor=actor, reason=one.rule) if person else None


def _rules(collection: Collection) -> dict[str, Q]:
    now = timezone.now()
    rules: dict[str, Q] = {}
    # merged records are the same human as the kept one, and go with it
    living = ~Q(status=Person.Status.MERGED)
    if collection.erase_without_consent:
        rules["consent_expired"] = living & Q(consent_expires_at__lt=now - GRACE)
    if collection.erase_unseen_after_days is not None:
        limit = now - timedelta(days=collection.erase_unseen_after_days)
        rules["unseen"] = living & Q(last_interaction_at__lt=limit)
    return rules


def _since(person: Person, rule: str, collection: Collection) -> datetime:
    if rule == "consent_expired" and person.consent_expires_at is not None:
        return person.consent_expires_at + GRACE
    return person.last_interaction_at + timedelta(days=collection.erase_unseen_after_days or 0)
