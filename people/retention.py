"""What must go by a collection's own rules, and when."""

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
"""Between a consent's end and the erasure: time to renew it, or to notice a mistake."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to erase people: who it holds for, and what tells since when."""

    name: str
    holds: Q
    since: F | Subquery


@dataclass(frozen=True, slots=True)
class Due:
    """A person whom a rule says to erase."""

    person_id: UUID
    rule: str
    since: datetime
    """When the consent ended, the first photo came without one, or the person was last seen."""


def rules(collection: Collection, now: datetime | None = None) -> list[Rule]:
    """Return the collection's rules; empty when it keeps people until somebody erases them."""
    now = now or timezone.now()
    found = consent_rules(now) if collection.erase_without_consent else []
    if collection.erase_unseen_after_days:
        found.append(unseen_rule(collection.erase_unseen_after_days, now))
    return found


def consent_rules(now: datetime) -> list[Rule]:
    """Return the rules of `erase_without_consent`."""
    ended = now - GRACE
    # whoever has no photo yet is only a name, whose consent may be on its way
    photos = Photo.objects.filter(person=OuterRef("pk"), created_at__lte=ended).order_by("created_at")
    return [
        Rule("consent_expired", Q(consent_expires_at__lte=ended), F("consent_expires_at")),
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
    """Yield whom the rules say to erase now, each person once, with the first rule that holds.

    People who were merged into others are judged by the kept record.
    """
    now = timezone.now()
    before: list[Q] = []
    for rule in rules(collection, now):
        rows = _people(collection).filter(rule.holds)
        for earlier in before:
            rows = rows.exclude(pk__in=_people(collection).filter(earlier).values("pk"))
        before.append(rule.holds)
        last: UUID | None = None
        while True:
            # in chunks, each read to its end: no cursor stays open while people are erased
            part = rows.order_by("pk") if last is None else rows.filter(pk__gt=last).order_by("pk")
            found = [
                Due(person_id, rule.name, since)
                for person_id, since in part.annotate(since=rule.since).values_list("pk", "since")[:_CHUNK]
            ]
            yield from found
            if len(found) < _CHUNK:
                break
            last = found[-1].person_id


def count(collection: Collection, *chosen: Rule) -> int:
    """Return how many people at least one of these rules holds for, whether or not it is on."""
    holds = Q()
    for rule in chosen:
        holds |= rule.holds
    return _people(collection).filter(holds).count() if chosen else 0


def apply(collection: Collection, *, actor: Actor) -> Iterator[Erasure]:
    """Erase whom the rules say to erase, one at a time, and yield each receipt.

    Each person is a transaction of their own, and looked at again in it: whoever consented, was
    matched or changed meanwhile is left alone. Stopped at any point, the next call goes on.
    """
    for one in due(collection):
        try:
            receipt = _erase_if_still_due(one.person_id, actor)
        except DatabaseError:
            # one person whom the database won't give up must not keep all others
            logger.exception("Person %s is due by %s and could not be erased", one.person_id, one.rule)
            continue
        if receipt is not None:
            yield receipt


def apply_to_all(*, seconds: float, actor: Actor) -> bool:
    """Erase by the rules of every collection, for at most about `seconds`; return whether that was enough."""
    until = time.monotonic() + seconds
    for collection in Collection.objects.all():
        for receipt in apply(collection, actor=actor):
            logger.info("Erasure %s by rule %s", receipt.pk, receipt.reason)
            if time.monotonic() > until:
                return False
    return True


def _erase_if_still_due(person_id: UUID, actor: Actor) -> Erasure | None:
    with transaction.atomic():
        everyone = Person.lock_everyone(person_id)
        person = next((one for one in everyone if one.pk == person_id), None)
        if person is None:
            return None  # erased meanwhile
        for rule in rules(person.collection):
            if _people(person.collection).filter(rule.holds, pk=person_id).exists():
                return erasure.erase(person, actor=actor, reason=rule.name)
    return None


def _people(collection: Collection) -> PersonQuerySet:
    return Person.objects.not_merged().filter(collection=collection)
