"""Times an identification stage by stage, without HTTP or the database."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from rest_framework.renderers import JSONRenderer

from benchmark import random_templates
from benchmark.results import Timing
from benchmark.timed_engine import STEPS, TimedEngine
from benchmark.timing import Stopwatch
from people import photos
from people.api.responses.faces import IdentificationSerializer
from people.decision import ThresholdChoice, decide, search_threshold
from people.engines.base import FaceEngine
from people.extraction import PhotoFaces, Purpose, from_photo
from people.identification import SPARE, Candidate, Identification, IdentifiedFace, Score
from people.indexes.embedded import Matrix
from people.models import Person
from people.quality import Measures, measure, visible_share

STAGES = ("decode", *STEPS, "quality", "search", "decide", "serialise")
SEARCHED = 100_000
PROPOSED = 5 + SPARE
"""How many people an identification with the default of five candidates requests from the index."""


class Gallery:
    """SEARCHED synthetic people in memory, and an engine to identify photos among them."""

    def __init__(self, engine: FaceEngine) -> None:
        self.engine = engine
        self._person = Person(pk=uuid4(), name="Nobody")
        self._matrix = Matrix(engine.dimension)
        for vectors in random_templates.chunks(SEARCHED, engine.dimension):
            self._matrix.extend([uuid4() for _ in vectors], vectors)

    def search(self, photo: PhotoFaces) -> None:
        self._matrix.nearest(photo.vectors, PROPOSED, threads=settings.FACEREC_THREADS)

    def decide(self, photo: PhotoFaces) -> Identification:
        """Return an identification in which every face has one perfectly matching candidate."""
        calibration = self.engine.calibration
        threshold = search_threshold(calibration, SEARCHED, ThresholdChoice())
        faces = []
        for face, vector in zip(photo.faces, photo.vectors, strict=True):
            cosine = float(vector @ vector)
            decision, margin = decide([cosine], threshold.cosine)
            score = Score(calibration.similarity(cosine), cosine, match=True)
            candidates = [Candidate(self._person, score, uuid4())]
            faces.append(
                face.extended_to(IdentifiedFace, decision=decision, margin=margin, candidates=candidates)
            )
        return Identification(photo, SEARCHED, threshold, faces, degraded=False)


class StagedIdentification:
    """Identifies one photo repeatedly, and times each stage."""

    def __init__(self, data: bytes, gallery: Gallery) -> None:
        self._data, self._gallery = data, gallery
        self._stages = {stage: Stopwatch() for stage in STAGES}
        self._whole = Stopwatch()
        self.faces = 0
        """How many faces were found in the latest round."""

    def run(self) -> None:
        """Identify the photo once."""
        stages, engine = self._stages, TimedEngine(self._gallery.engine)
        stages["decode"].time(photos.decode, self._data)
        photo = self._whole.time(from_photo, self._data, engine, purpose=Purpose.PROBE)
        for step in STEPS:
            stages[step].seconds.append(engine.seconds[step])
        stages["quality"].time(_measure, photo)
        stages["search"].time(self._gallery.search, photo)
        identification = stages["decide"].time(self._gallery.decide, photo)
        stages["serialise"].time(_serialise, identification)
        self.faces = len(photo.faces)

    def engine_timing(self) -> Timing:
        """Return the time from the photo's bytes to the probes of all faces."""
        return self._whole.timing()

    def stage_timings(self) -> dict[str, Timing]:
        return {stage: stopwatch.timing() for stage, stopwatch in self._stages.items()}


def _measure(photo: PhotoFaces) -> list[Measures]:
    return [
        measure(face.detected, face.chip, visible_share(face.detected.box, photo.width, photo.height))
        for face in photo.faces
    ]


def _serialise(identification: Identification) -> bytes:
    content: bytes = JSONRenderer().render(IdentificationSerializer(identification).data)
    return content
