"""Each person's mean templates, one per engine. Searches compare probes with these."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import numpy as np
from django.db.models import QuerySet

from people import outbox
from people.broker import Task, notify_on_commit
from people.decision import mean_template
from people.faces import Vectors
from people.indexes import remote_index
from people.indexes.base import LATE_WRITE
from people.models import MeanTemplate, Person, Template
from people.models.guarded import delete_rows
from people.models.template import pack, unpack


def recompute(person: Person) -> None:
    """Recompute the person's mean templates and notify the indexes. Must be called in a transaction.

    A merged record has no mean template: photos that stay with it are not searched.
    """
    vectors: dict[str, list[Vectors]] = {}
    templates = Template.objects.filter(person=person).exclude(person__status=Person.Status.MERGED)
    for engine, packed in templates.values_list("engine", "vector"):
        vectors.setdefault(engine, []).append(unpack(packed))
    drop(MeanTemplate.objects.filter(person=person).exclude(engine__in=vectors))
    for engine, engine_vectors in vectors.items():
        store(person, engine, mean_template(np.stack(engine_vectors)), len(engine_vectors))
    outbox.person_changed(person.pk)


def drop(means: QuerySet[MeanTemplate]) -> None:
    """Delete mean templates and request the purge of their vectors from a remote index."""
    _request_purges(list(means.select_for_update()))
    delete_rows(means)


def store(person: Person, engine: str, vector: Vectors, templates: int) -> None:
    """Store the person's mean template, (d,) float32. Must be called in a transaction.

    `templates` is the number of templates it was computed from. A remote index gets it with the next sync.
    """
    rows = MeanTemplate.objects.select_for_update().filter(person=person, engine=engine)
    packed = pack(vector)
    mean = rows.first()
    if mean is None:
        MeanTemplate.objects.create(
            person=person,
            engine=engine,
            collection_id=person.collection_id,
            vector=packed,
            templates=templates,
        )
    elif bytes(mean.vector) == packed:
        rows.update(templates=templates)
        return
    else:
        _request_purges([mean])
        rows.update(
            vector=packed,
            templates=templates,
            vector_id=uuid4(),
            sent_at=None,
            sent_position=None,
            indexed_at=None,
        )
    if remote_index() is not None:
        notify_on_commit(Task.SYNC_INDEX)


def _request_purges(means: Sequence[MeanTemplate]) -> None:
    for mean in means:
        # a vector that was never sent needs no purge: the sync doesn't send deleted rows
        if mean.sent_at is not None:
            outbox.request_vector_purge(
                mean.vector_id,
                collection_id=mean.collection_id,
                engine=mean.engine,
                settled_at=mean.sent_at + LATE_WRITE,
                person_id=mean.person_id,
            )
