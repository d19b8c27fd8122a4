"""Retention: which people are due for erasure under their collection's rules, and erasing them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from people import erasure
from people.actors import Actor
from people.models import Collection, Erasure, Person, Photo
from people.models.person import PersonQuerySet

logger = logging.getLogger(__name__)
GRACE = timedelta(days=1)
"""Time between the end of consent and the erasure, for staff to renew the consent or notice a mistake."""
_CHUNK = 500
"""People per query."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to erase people: its condition, and an expression for the time from which it has applied."""

    name: str
    condition: Q
    since: F | Subquery


@dataclass(frozen=True, slots=True)
class Due:
    """A person who is due for erasure under a rule."""

    person_id: UUID
    rule: str
    since: datetime
    """When consent expired, the first photo without consent arrived, or the person was last seen."""


def rules(collection: Collection, now: datetime | None = None) -> list[Rule]:
    """Return the collection's rules. Without any, people are kept until their erasure is requested."""
    now = now or timezone.now()
    active_rules = consent_rules(now) if collection.erase_without_consent else []
    if collection.erase_unseen_after_days:
        active_rules.append(unseen_rule(collection.erase_unseen_after_days, now))
    return active_rules


def consent_rules(now: datetime) -> list[Rule]:
    """Return the rules of `erase_without_consent`."""
    deadline = now - GRACE
    # people without a photo are only a name in a list, and their consent may still arrive
    photos = Photo.objects.filter(person=OuterRef("pk"), created_at__lte=deadline).order_by("created_at")
    return [
        Rule("consent_expired", Q(consent_expires_at__lte=deadline), F("consent_expires_at")),
        Rule(
            "consent_missing",
            Q(Exists(photos), consent_given_at=None),
            Subquery(photos.values("created_at")[:1]),
        ),
    ]


def unseen_rule(days: int, now: datetime) -> Rule:
    """Return the rule of `erase_unseen_after_days`."""
    return Rule("unseen", Q(last_interaction_at__lte=now - timedelta(days=days)), F("last_interaction_at"))


def due(collection: Collection) -> Iterator[Due]:
    """Yield everyone who is due for erasure now, each person once, with the first rule that applies.

    Of merged records, only the kept one is checked.
    """
    now = timezone.now()
    earlier_conditions: list[Q] = []
    for rule in rules(collection, now):
        rows = _people(collection).filter(rule.condition)
        for condition in earlier_conditions:
            rows = rows.exclude(pk__in=_people(collection).filter(condition).values("pk"))
        earlier_conditions.append(rule.condition)
        last_id: UUID | None = None
        while True:
            # read chunk by chunk, so that no cursor stays open while people are erased
            remaining = rows if last_id is None else rows.filter(pk__gt=last_id)
            chunk = [
                Due(person_id, rule.name, since)
                for person_id, since in remaining.order_by("pk")
                .annotate(since=rule.since)
                .values_list("pk", "since")[:_CHUNK]
            ]
            yield from chunk
            if len(chunk) < _CHUNK:
                break
            last_id = chunk[-1].person_id


def count(collection: Collection, *chosen: Rule) -> int:
    """Return how many people at least one of these rules applies to, even if the rules are turned off."""
    condition = Q()
    for rule in chosen:
        condition |= rule.condition
    return _people(collection).filter(condition).count() if chosen else 0


def apply(collection: Collection, *, actor: Actor) -> Iterator[Erasure]:
    """Erase everyone who is due for erasure, one at a time, and yield each erasure receipt.

    Each person is checked again and erased in a separate transaction: people who gave consent, were
    matched or changed in the meantime are kept. If interrupted, call it again to resume.
    """
    for person_due in due(collection):
        try:
            receipt = _erase_if_still_due(person_due.person_id, actor)
        except DatabaseError:
            # if one person can't be erased, the others still must be
            logger.exception(
                "Could not erase person %s, who is due under the rule %s",
                person_due.person_id, person_due.rule,
            )  # fmt: skip
            continue
        if receipt is not None:
            yield receipt


def apply_to_all(*, seconds: float, actor: Actor) -> bool:
    """Apply the rules of every collection for about `seconds` at most; return whether nobody is left.

    People whose erasure failed don't count as left: the error is logged, and the next run tries again.
    """
    until = time.monotonic() + seconds
    for collection in Collection.objects.all():
        for receipt in apply(collection, actor=actor):
            logger.info("Erasure %s under the rule %s", receipt.pk, receipt.reason)
            if time.monotonic() > until:
                return False
    return True


def _erase_if_still_due(person_id: UUID, actor: Actor) -> Erasure | None:
    with transaction.atomic():
        records = Person.lock_all_records(person_id)
        person = next((record for record in records if record.pk == person_id), None)
        if person is None:
            return None  # erased in the meantime
        for rule in rules(person.collection):
            if _people(person.collection).filter(rule.condition, pk=person_id).exists():
                return erasure.erase(person, actor=actor, reason=rule.name)
    return None


def _people(collection: Collection) -> PersonQuerySet:
    return Person.objects.not_merged().filter(collection=collection)
