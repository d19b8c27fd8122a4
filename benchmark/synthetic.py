"""People who don't exist, to measure with: random templates, as far from each other as strangers' are.

Cosines of random unit vectors of 128 dimensions have a standard deviation of 0.088; those of strangers
in LFW, as SFace sees them, one of about 0.1.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from PIL import Image

from people import extraction, photos
from people.decision import unit
from people.engines import engine_id, get_engine
from people.engines.base import FaceEngine, Vectors
from people.models import ApiKey, Collection, MeanTemplate, OutboxEntry, Person, Photo, Template
from people.models.template import pack

COLLECTION = "benchmark"
ENROLLED = "obama.jpg"
PROBE = "obama2.jpg"
"""Another photo of the one real person; both are samples."""
AT_ONCE = 5_000
RATE = "1000000/sec"
JPEG_QUALITY = 92
GROUP = (1600, 1200)
"""Size in pixels of a photo of several faces, the same for one as for many."""
GROUP_CELL = (200, 240)
MOST_FACES = (GROUP[0] // GROUP_CELL[0]) * (GROUP[1] // GROUP_CELL[1])


def templates(count: int, dimension: int, seed: int = 1) -> Iterator[Vectors]:
    """Yield `count` unit vectors in chunks of AT_ONCE, (n, dimension) float32."""
    random = np.random.default_rng(seed)
    for start in range(0, count, AT_ONCE):
        size = (min(AT_ONCE, count - start), dimension)
        yield unit(random.standard_normal(size, dtype=np.float32))


def portrait(width: int, height: int) -> bytes:
    """Return PROBE as a JPEG of this size: scaled to fit, grey round it. Raises FileNotFoundError."""
    return _on_grey((width, height), (width, height), 1)


def group(faces: int) -> bytes:
    """Return a JPEG of GROUP's size that shows PROBE so many times. Raises FileNotFoundError."""
    return _on_grey(GROUP, GROUP_CELL, faces)


def _on_grey(size: tuple[int, int], cell: tuple[int, int], times: int) -> bytes:
    with Image.open(_sample(PROBE)) as opened:
        picture = opened.convert("RGB")
    scale = min(cell[0] / picture.width, cell[1] / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    canvas = Image.new("RGB", size, "grey")
    for number in range(times):
        row, column = divmod(number, size[0] // cell[0])
        left, top = column * cell[0], row * cell[1]
        canvas.paste(picture, (left + (cell[0] - picture.width) // 2, top + (cell[1] - picture.height) // 2))
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _sample(name: str) -> Path:
    path: Path = settings.FACEREC_SAMPLES_DIR / name
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. Run `manage.py fetch_samples`.")
    return path


def enrol(count: int) -> str:
    """Enrol `count` people in a database that holds nobody, one of them real; return an API key.

    Rows as an enrolment leaves them, without photos' files.
    """
    if Person.objects.exists():
        raise ValueError("This database holds people already. Name an empty one.")
    engine = get_engine()
    collection = Collection.objects.create(name=COLLECTION)
    for number, vectors in enumerate(templates(count, engine.dimension)):
        if not number:
            vectors[0] = _of_the_real_person(engine)
        with transaction.atomic():
            _store(collection, engine_id(engine), vectors)
    return ApiKey.issue(label="benchmark", scopes=["identify"], rate=RATE)[1]


def _of_the_real_person(engine: FaceEngine) -> Vectors:
    found = extraction.extract(photos.decode(_sample(ENROLLED).read_bytes()), engine)
    vector: Vectors = extraction.references(found[:1], engine)[0]
    return vector


def _store(collection: Collection, engine: str, vectors: Vectors) -> None:
    now = timezone.now()
    people = [Person(collection=collection, name="Nobody") for _ in vectors]
    kept = [
        Photo(
            person=person, file=f"benchmark/{person.pk}.jpg", sha256=person.pk.hex * 2, width=480,
            height=720, status=Photo.Status.ACCEPTED, submitted_by="command", decided_at=now,
        )
        for person in people
    ]  # fmt: skip
    packed = [pack(vector) for vector in vectors]
    box = {"left": 120, "top": 180, "width": 240, "height": 300}
    Person.objects.bulk_create(people)
    Photo.objects.bulk_create(kept)
    Template.objects.bulk_create(
        Template(photo=photo, person=photo.person, engine=engine, vector=vector, box=box, landmarks={},
                 confidence=0.9, quality={})
        for photo, vector in zip(kept, packed, strict=True)
    )  # fmt: skip
    MeanTemplate.objects.bulk_create(
        MeanTemplate(person=person, collection=collection, engine=engine, vector=vector, templates=1)
        for person, vector in zip(people, packed, strict=True)
    )
    OutboxEntry.objects.bulk_create(
        OutboxEntry(topic=OutboxEntry.Topic.PERSON_CHANGED, person_id=person.pk, due_at=now, done_at=now)
        for person in people
    )
