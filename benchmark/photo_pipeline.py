"""Until `extraction.from_photo` exists: its steps, in one place."""

from __future__ import annotations

from people import extraction, photos
from people.engines import engine_id
from people.engines.base import FaceEngine, Vectors
from people.identification import PhotoFaces


def probes(data: bytes, engine: FaceEngine) -> tuple[PhotoFaces, Vectors]:
    image = photos.decode(data)
    faces = extraction.extract(image, engine)
    photo = PhotoFaces(engine_id(engine), image.shape[1], image.shape[0], faces, [])
    return photo, extraction.probes(faces, engine)


def references(data: bytes, engine: FaceEngine) -> Vectors:
    return extraction.references(extraction.extract(photos.decode(data), engine)[:1], engine)
