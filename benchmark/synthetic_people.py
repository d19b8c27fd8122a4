"""Fills an empty database with synthetic people, and with the person in the sample photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from benchmark import random_templates, sample_photos
from benchmark.errors import BenchmarkError
from benchmark.timing import Stopwatch
from people import api_keys
from people.actors import COMMAND
from people.engines import engine_id, get_engine
from people.engines.base import FaceEngine
from people.extraction import Purpose, from_photo
from people.faces import Vectors
from people.indexes import get_index
from people.models import Collection, MeanTemplate, OutboxEntry, Person, Photo, Template
from people.models.template import pack

COLLECTION = "benchmark"
RATE = "1000000/sec"
"""The API key's rate limit, high enough that it refuses no request of the benchmark."""


class Enrolled(NamedTuple):
    api_key: str
    load_seconds: float
    """Time to read all templates into the index."""


def enrol(count: int) -> Enrolled:
    """Enrol `count` people, one of whom is the person in the sample photos, and read all templates.

    The database gets the rows of real enrolments; no photo files are stored. Raises BenchmarkError if the
    database is not empty.
    """
    if Person.objects.exists():
        raise BenchmarkError("This database contains people. Use an empty one.")
    engine = get_engine()
    collection = Collection.objects.create(name=COLLECTION)
    for number, vectors in enumerate(random_templates.chunks(count, engine.dimension)):
        if number == 0:
            vectors[0] = _sample_template(engine)
        with transaction.atomic():
            _store(collection, engine_id(engine), vectors)
    loading = Stopwatch()
    loading.time(get_index().load, engine_id(engine))
    _, api_key = api_keys.issue(label="benchmark", scopes=["identify"], rate=RATE, actor=COMMAND)
    return Enrolled(api_key, loading.seconds[0])


def _sample_template(engine: FaceEngine) -> Vectors:
    data = sample_photos.read(sample_photos.REFERENCE)
    photo = from_photo(data, engine, purpose=Purpose.REFERENCE, face="largest")
    vector: Vectors = photo.vectors[0]
    return vector


def _store(collection: Collection, engine: str, vectors: Vectors) -> None:
    packed = [pack(vector) for vector in vectors]
    people = [Person(collection=collection, name="Nobody") for _ in packed]
    photos = [_photo_of(person) for person in people]
    Person.objects.bulk_create(people)
    Photo.objects.bulk_create(photos)
    Template.objects.bulk_create(_templates(photos, packed, engine))
    MeanTemplate.objects.bulk_create(
        MeanTemplate(person=person, collection=collection, engine=engine, vector=vector, templates=1)
        for person, vector in zip(people, packed, strict=True)
    )
    now = timezone.now()
    OutboxEntry.objects.bulk_create(
        OutboxEntry(topic=OutboxEntry.Topic.PERSON_CHANGED, person_id=person.pk, due_at=now, done_at=now)
        for person in people
    )


def _photo_of(person: Person) -> Photo:
    return Photo(
        person=person, file=f"benchmark/{person.pk}.jpg", sha256=person.pk.hex * 2, width=480, height=720,
        status=Photo.Status.ACCEPTED, submitted_by="command", decided_at=timezone.now(),
    )  # fmt: skip


def _templates(photos: Sequence[Photo], packed: Sequence[bytes], engine: str) -> list[Template]:
    box = {"left": 120, "top": 180, "width": 240, "height": 300}
    return [
        Template(
            photo=photo, person=photo.person, engine=engine, vector=vector, box=box, landmarks={},
            confidence=0.9, quality={},
        )
        for photo, vector in zip(photos, packed, strict=True)
    ]  # fmt: skip
