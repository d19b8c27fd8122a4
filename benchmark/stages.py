"""One photo from JPEG to answer, stage by stage, and beside it others that do the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.conf import settings
from rest_framework.renderers import JSONRenderer

from benchmark import synthetic
from benchmark.timing import WARM_UP, Times
from people import extraction, photos
from people.api import representations
from people.decision import ThresholdChoice, decide, search_threshold
from people.engines import engine_id
from people.engines.base import Chip, DetectedFace, FaceEngine, RGBImage, Vectors
from people.extraction import ExtractedFace
from people.identification import SPARE, Candidate, Identification, IdentifiedFace, PhotoFaces, Score
from people.indexes.embedded import Matrix
from people.models import Person
from people.quality import measure, visible_share

SEARCHED = 100_000
PROPOSED = 5 + SPARE
"""What an identification asks of the index: five candidates, and some to spare."""


class Stages:
    """What an identification does, in the order in which it does it, each step timed by itself."""

    def __init__(self, engine: FaceEngine) -> None:
        self.engine = engine
        self._matrix = Matrix(engine.dimension)
        for vectors in synthetic.templates(SEARCHED, engine.dimension):
            self._matrix.extend([uuid4() for _ in vectors], vectors)
        self._person = Person(pk=uuid4(), name="Nobody")

    def run(self, data: bytes, times: dict[str, Times]) -> int:
        """Take one photo through all stages and return how many faces it shows."""
        engine = self.engine
        image = times["decode"].of(photos.decode, data)
        found = times["detect"].of(engine.detect, image)
        chips = times["align"].of(_aligned, engine, image, found)
        faces = times["quality"].of(_measured, image, found, chips)
        probes = times["embed"].of(extraction.probes, faces, engine)
        times["search"].of(self._matrix.nearest, probes, PROPOSED, threads=settings.FACEREC_THREADS)
        photo = PhotoFaces(engine_id(engine), image.shape[1], image.shape[0], faces, [])
        answer = times["decide"].of(self._decided, photo, probes)
        times["serialise"].of(_serialised, answer)
        return len(found)

    def _decided(self, photo: PhotoFaces, probes: Vectors) -> Identification:
        calibration = self.engine.calibration
        threshold = search_threshold(calibration, SEARCHED, ThresholdChoice())
        faces = []
        for face, probe in zip(photo.faces, probes, strict=True):
            cosine = float(probe @ probe)
            decision, margin = decide([cosine], threshold.cosine)
            score = Score(calibration.similarity(cosine), cosine, match=True)
            faces.append(IdentifiedFace(face, decision, margin, [Candidate(self._person, score, uuid4())]))
        return Identification(photo, SEARCHED, threshold, faces, degraded=False)


def _aligned(engine: FaceEngine, image: RGBImage, found: Sequence[DetectedFace]) -> list[Chip]:
    return [engine.align(image, face) for face in found]


def _measured(image: RGBImage, found: Sequence[DetectedFace], chips: Sequence[Chip]) -> list[ExtractedFace]:
    height, width = image.shape[:2]
    return [
        ExtractedFace(face, chip, measure(face, chip, visible_share(face.box, width, height)))
        for face, chip in zip(found, chips, strict=True)
    ]


def _serialised(answer: Identification) -> bytes:
    content: bytes = JSONRenderer().render(representations.identification(answer))
    return content


STAGES = ("decode", "detect", "align", "quality", "embed", "search", "decide", "serialise")


def photo(data: bytes, stages: Stages, others: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return the figures of one photo: of each stage, of the engine as a whole, and of `others` beside it.

    The engine's part goes from the JPEG to the probes of all faces, as that of the others does.
    """
    times = {name: Times() for name in STAGES}
    whole = Times()
    beside = {name: (OTHERS[name](), Times()) for name in others}
    faces = 0
    for _ in range(rounds + WARM_UP):
        faces = stages.run(data, times)
        whole.of(_probes, data, stages.engine)
        for run, own in beside.values():
            own.of(run, data)
    ours = whole.milliseconds()
    return {
        "faces": faces,
        "stages": {name: own.milliseconds() for name, own in times.items()},
        "engine": ours,
        "against": {
            name: {**own.milliseconds(), "ratio": own.milliseconds()["p50_ms"] / ours["p50_ms"]}
            for name, (_, own) in beside.items()
        },
    }


def group(faces: int, engine: FaceEngine, rounds: int) -> dict[str, Any]:
    """Return the engine's figures for a photo of several faces, always of the same size."""
    data = synthetic.group(faces)
    return {"faces": len(_probes(data, engine)), **alone(data, engine, rounds)}


def alone(data: bytes, engine: FaceEngine, rounds: int) -> dict[str, float]:
    """Return the engine's figures for one photo, with nothing in between."""
    whole = Times()
    for _ in range(rounds + WARM_UP):
        whole.of(_probes, data, engine)
    return whole.milliseconds()


def _probes(data: bytes, engine: FaceEngine) -> Vectors:
    return extraction.probes(extraction.extract(photos.decode(data), engine), engine)


def _face_recognition() -> Callable[[bytes], Any]:
    """The library, as its documentation shows it."""
    import face_recognition

    return lambda data: face_recognition.face_encodings(face_recognition.load_image_file(io.BytesIO(data)))


def _plain() -> Callable[[bytes], Any]:
    """The same two models the plain way: OpenCV's own classes, at full size."""
    from benchmark.opencv_baseline import Plain

    return Plain()


OTHERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "face_recognition": _face_recognition,
    "plain": _plain,
}
