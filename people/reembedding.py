"""Give the enrolled templates of another engine: fill it beside the first, compare, switch, and drop the old.

Photos, persons and their ids stay as they are. From `begin` on every enrolment makes templates of
both engines, so that the switch, and the way back, take one short transaction.
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


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two engines see the same photos; those of persons with several are searched among all others."""

    photos: int
    """With a template of both."""
    only_old: int
    only_new: int
    searched: int
    same_person: int
    """Searches in which both put the same person first."""
    right_old: int
    right_new: int
    """Searches in which the photo's own person came first."""


def begin(backend: str, *, actor: Actor) -> EngineVersion:
    """Have the engine stand beside the active one. Again, it returns what is there.

    Raises Conflict when the engine is the active one, or another stands beside it already.
    """
    new = engine_id(engine_named(backend))
    old = active_engine()
    if new == engine_id(old):
        raise Conflict(f"{new} is the active engine already.")
    with transaction.atomic():
        EngineVersion.objects.get_or_create(
            engine=engine_id(old),
            defaults={"backend": backend_path(settings.FACE_ENGINE["BACKEND"]), "state": State.ACTIVE},
        )
        other = EngineVersion.objects.filter(state=State.BESIDE).exclude(engine=new).first()
        if other is not None:
            raise Conflict(f"{other.engine} stands beside already. Discard it first.")
        version, created = EngineVersion.objects.get_or_create(
            engine=new, defaults={"backend": backend_path(backend), "state": State.BESIDE}
        )
        if created:
            audit.record("engine.begun", actor=actor, object_id=new)
    return version


def missing(version: EngineVersion) -> QuerySet[Photo]:
    """Return the accepted photos that have no template of this engine."""
    return Photo.objects.filter(status=Photo.Status.ACCEPTED).exclude(templates__engine=version.engine)


def fill(version: EngineVersion) -> Iterator[tuple[UUID, bool]]:
    """Yield (photo, whether it has a template now) for each photo that lacks one; may be stopped anywhere."""
    engine = engine_named(version.backend)
    lacking = missing(version).order_by("pk").values_list("pk", flat=True)
    last = UUID(int=0)
    while ids := list(lacking.filter(pk__gt=last)[:BATCH]):
        for photo_id in ids:
            last = photo_id
            yield photo_id, enrolment.add_template(photo_id, engine)


def agreement(old: str, new: str) -> Agreement:
    """Compare two engines on the photos that both have a template of."""
    counts = dict.fromkeys(("photos", "only_old", "only_new", "searched", "same", "old", "new"), 0)
    collections = Photo.objects.order_by().values_list("person__collection", flat=True).distinct()
    for collection_id in collections:
        by_engine = {name: _templates(collection_id, name) for name in (old, new)}
        both = by_engine[old].keys() & by_engine[new].keys()
        counts["photos"] += len(both)
        counts["only_old"] += len(by_engine[old]) - len(both)
        counts["only_new"] += len(by_engine[new]) - len(both)
        photos = sorted(both)
        owners = [by_engine[old][pk][0] for pk in photos]
        first = {name: _first([by_engine[name][pk][1] for pk in photos], owners) for name in (old, new)}
        for number, owner in enumerate(owners):
            if (said := first[old][number]) is None:
                continue
            counts["searched"] += 1
            counts["same"] += said == first[new][number]
            counts["old"] += said == owner
            counts["new"] += first[new][number] == owner
    return Agreement(
        counts["photos"], counts["only_old"], counts["only_new"], counts["searched"], counts["same"],
        counts["old"], counts["new"],
    )  # fmt: skip


def switch(to: EngineVersion, *, actor: Actor) -> None:
    """Have searches use this engine from the next request on; the other stays beside, for the way back."""
    with transaction.atomic():
        rows = list(EngineVersion.objects.select_for_update().order_by("pk"))
        if all(row.engine != to.engine for row in rows):
            raise Conflict(f"{to.engine} is not here any more.")
        # in this order: one is active at a time, the database sees to it
        EngineVersion.objects.filter(state=State.ACTIVE).update(state=State.BESIDE)
        EngineVersion.objects.filter(pk=to.pk).update(state=State.ACTIVE)
        audit.record("engine.switched", actor=actor, object_id=to.engine)


def discard(version: EngineVersion, *, actor: Actor) -> int:
    """Delete an engine that stands beside, with its templates; return how many. Raises Conflict."""
    with transaction.atomic():
        if not EngineVersion.objects.filter(pk=version.pk, state=State.BESIDE).delete()[0]:
            raise Conflict(f"{version.engine} is active. Switch to the other first.")
        audit.record("engine.discarded", actor=actor, object_id=version.engine)
    return drop_templates(version.engine)


def drop_templates(engine: str) -> int:
    """Delete the templates of an engine that is neither active nor beside, in small transactions."""
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


def _first(vectors: list[Vectors], owners: list[UUID]) -> list[UUID | None]:
    """Return for each vector whose mean of all *other* photos is nearest; None for an only photo."""
    own: dict[UUID, list[int]] = defaultdict(list)
    for number, owner in enumerate(owners):
        own[owner].append(number)
    people = list(own)
    if not people:
        return []
    stacked = np.stack(vectors)
    means = np.stack([mean_template(stacked[own[person]]) for person in people])
    found: list[UUID | None] = []
    for number, owner in enumerate(owners):
        others = [one for one in own[owner] if one != number]
        if not others:
            found.append(None)
            continue
        cosines = means @ stacked[number]
        cosines[people.index(owner)] = float(mean_template(stacked[others]) @ stacked[number])
        found.append(people[int(np.argmax(cosines))])
    return found
