"""Move to another engine: create its templates, compare the two engines, switch, discard the old one.

Photos, people and their ids don't change. After `begin`, every enrolment creates templates of both engines,
so switching and rolling back take one short transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from people import audit, enrolment, mean_templates
from people.active_engine import State, active_engine
from people.actors import Actor
from people.decision import mean_template
from people.engines import backend_path, engine_id, engine_named
from people.errors import Conflict
from people.faces import Vectors
from people.models import EngineVersion, MeanTemplate, Photo, Template
from people.models.guarded import delete_rows
from people.models.template import unpack

BATCH = 200
"""Rows per query or transaction."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two engines agree on the same photos.

    Each photo is a probe in a search among all the other photos, if its person has several photos.
    """

    photos: int
    """Photos with templates of both engines."""
    only_old: int
    """Photos with a template of the old engine only."""
    only_new: int
    """Photos with a template of the new engine only."""
    searched: int
    """Number of searches with each engine."""
    same_person: int
    """Searches in which both engines ranked the same person first."""
    right_old: int
    """Searches in which the old engine ranked the photo's own person first."""
    right_new: int
    """Searches in which the new engine ranked the photo's own person first."""


def begin(backend: str, *, actor: Actor) -> EngineVersion:
    """Add the engine as the secondary engine and return it. Safe to repeat.

    Raises Conflict if the engine is already active, or if another secondary engine has already been added.
    """
    new_id, active_id = engine_id(engine_named(backend)), engine_id(active_engine())
    if new_id == active_id:
        raise Conflict(f"{new_id} is already the active engine.")
    with transaction.atomic():
        EngineVersion.objects.get_or_create(
            engine=active_id,
            defaults={"backend": backend_path(settings.FACE_ENGINE["BACKEND"]), "state": State.ACTIVE},
        )
        another = EngineVersion.objects.filter(state=State.SECONDARY).exclude(engine=new_id).first()
        if another is not None:
            raise Conflict(f"{another.engine} is already the secondary engine. Discard it first.")
        version, created = EngineVersion.objects.get_or_create(
            engine=new_id, defaults={"backend": backend_path(backend), "state": State.SECONDARY}
        )
        if created:
            audit.record("engine.begun", actor=actor, object_id=new_id)
    return version


def missing(version: EngineVersion) -> QuerySet[Photo]:
    """Return the accepted photos without a template of this engine."""
    return Photo.objects.filter(status=Photo.Status.ACCEPTED).exclude(templates__engine=version.engine)


def fill(version: EngineVersion) -> Iterator[tuple[UUID, bool]]:
    """Create missing templates; yield each photo's id and whether it now has one. Safe to interrupt."""
    engine = engine_named(version.backend)
    without_template = missing(version).order_by("pk").values_list("pk", flat=True)
    last_id = UUID(int=0)
    while ids := list(without_template.filter(pk__gt=last_id)[:BATCH]):
        for photo_id in ids:
            last_id = photo_id
            yield photo_id, enrolment.add_template(photo_id, engine)


def agreement(old: str, new: str) -> Agreement:
    """Compare two engines, given by their ids, on the photos that have templates of both."""
    counts = dict.fromkeys(("photos", "only_old", "only_new", "searched", "same", "old", "new"), 0)
    collections = Photo.objects.order_by().values_list("person__collection", flat=True).distinct()
    for collection_id in collections:
        by_engine = {name: _templates(collection_id, name) for name in (old, new)}
        photo_ids = sorted(by_engine[old].keys() & by_engine[new].keys())
        counts["photos"] += len(photo_ids)
        counts["only_old"] += len(by_engine[old]) - len(photo_ids)
        counts["only_new"] += len(by_engine[new]) - len(photo_ids)
        owners = [by_engine[old][pk][0] for pk in photo_ids]
        first_by_old, first_by_new = (
            _ranked_first([by_engine[name][pk][1] for pk in photo_ids], owners) for name in (old, new)
        )
        for owner, old_result, new_result in zip(owners, first_by_old, first_by_new, strict=True):
            if old_result is None:
                continue
            counts["searched"] += 1
            counts["same"] += old_result == new_result
            counts["old"] += old_result == owner
            counts["new"] += new_result == owner
    return Agreement(
        counts["photos"], counts["only_old"], counts["only_new"], counts["searched"], counts["same"],
        counts["old"], counts["new"],
    )  # fmt: skip


def switch(to: EngineVersion, *, actor: Actor) -> None:
    """Make this engine active from the next request on.

    The previously active engine becomes the secondary one, for a rollback. Raises Conflict if the engine
    has been discarded.
    """
    with transaction.atomic():
        rows = list(EngineVersion.objects.select_for_update().order_by("pk"))
        if all(row.engine != to.engine for row in rows):
            raise Conflict(f"{to.engine} no longer exists.")
        # in this order: a database constraint allows one active engine at a time
        EngineVersion.objects.filter(state=State.ACTIVE).update(state=State.SECONDARY)
        EngineVersion.objects.filter(pk=to.pk).update(state=State.ACTIVE)
        audit.record("engine.switched", actor=actor, object_id=to.engine)


def discard(version: EngineVersion, *, actor: Actor) -> int:
    """Delete the secondary engine and its templates; return how many templates. Raises Conflict if active."""
    with transaction.atomic():
        if not EngineVersion.objects.filter(pk=version.pk, state=State.SECONDARY).delete()[0]:
            raise Conflict(f"{version.engine} is the active engine. Switch to the other one first.")
        audit.record("engine.discarded", actor=actor, object_id=version.engine)
    return drop_templates(version.engine)


def drop_templates(engine: str) -> int:
    """Delete all templates of an engine that is no longer used; return how many.

    The transactions are small, so that other processes can write in between.
    """
    deleted = 0
    while ids := list(Template.objects.filter(engine=engine).values_list("pk", flat=True)[:BATCH]):
        deleted += delete_rows(Template.objects.filter(pk__in=ids))
    means = MeanTemplate.objects.filter(engine=engine)
    while chunk := list(means.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            mean_templates.drop(MeanTemplate.objects.filter(pk__in=chunk))
    return deleted


def _templates(collection_id: UUID, engine: str) -> dict[UUID, tuple[UUID, Vectors]]:
    rows = Template.objects.filter(person__collection=collection_id, engine=engine)
    return {
        photo_id: (person_id, unpack(vector))
        for photo_id, person_id, vector in rows.values_list("photo", "person", "vector")
    }


def _ranked_first(vectors: list[Vectors], owners: list[UUID]) -> list[UUID | None]:
    """Return the person ranked first for each vector, compared with the means of all *other* photos.

    The element is None for a person's only photo.
    """
    numbers_of: dict[UUID, list[int]] = defaultdict(list)
    for number, owner in enumerate(owners):
        numbers_of[owner].append(number)
    people = list(numbers_of)
    if not people:
        return []
    stacked = np.stack(vectors)
    means = np.stack([mean_template(stacked[numbers_of[person]]) for person in people])
    ranked_first: list[UUID | None] = []
    for number, owner in enumerate(owners):
        other_numbers = [photo_number for photo_number in numbers_of[owner] if photo_number != number]
        if not other_numbers:
            ranked_first.append(None)
            continue
        cosines = means @ stacked[number]
        cosines[people.index(owner)] = float(mean_template(stacked[other_numbers]) @ stacked[number])
        ranked_first.append(people[int(np.argmax(cosines))])
    return ranked_first
