"""What an engine makes of each photo: whether it finds a face, and that face's templates."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from people import extraction
from people.engines.base import FaceEngine
from people.extraction import Purpose
from people.faces import Box, Vectors

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]
"""(n,) int64: which person each photo or comparison belongs to."""

QUALITY_LEVEL = "auto"
"""The level at which enrolment refuses a photo unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the evaluation needs of one photo. The templates are of its main face."""

    faces: int
    """How many faces were found."""
    refused: bool
    """Whether enrolment would refuse the photo even if the face were chosen: because of that face's
    quality, or because no face was found."""
    reference: NDArray[np.float32]
    """(d,) of unit length, as an enrolment keeps it; (0,) if no face was found."""
    probe: NDArray[np.float32]
    """The same as a search uses it."""


def outcome_of(data: bytes, engine: FaceEngine) -> Outcome:
    """Return what `engine` makes of the photo in `data`, a file's bytes.

    Raises PhotoRejected if they are no usable photo.
    """
    photo = extraction.from_photo(
        data,
        engine,
        purpose=Purpose.DETECTION,
        quality_level=QUALITY_LEVEL,
        max_faces=sys.maxsize,  # the main face need not be among the largest
    )
    faces = [*photo.faces, *photo.skipped]
    if not faces:
        return Outcome(0, True, np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
    main = main_face([face.detected.box for face in faces], photo.width, photo.height)
    # Both vectors of the main face only: from_photo would make one kind, of every good face.
    (reference,) = extraction.vectors([faces[main]], engine, Purpose.REFERENCE)
    (probe,) = extraction.vectors([faces[main]], engine, Purpose.PROBE)
    return Outcome(len(faces), main >= len(photo.faces), reference, probe)


def main_face(boxes: Sequence[Box], width: int, height: int) -> int:
    """Return the index in `boxes` of the face that a photo of `width` × `height` pixels is about.

    It is the one with the greatest (area / largest area) − (distance of its centre from the photo's
    centre / half the width): large and central. This keeps a bystander from being taken for the
    person whose name the folder has. Raises ValueError if there is no box.
    """
    largest = max(box.area for box in boxes) or 1.0

    def prominence(index: int) -> float:
        box = boxes[index]
        across = box.left + box.width / 2 - width / 2
        down = box.top + box.height / 2 - height / 2
        return box.area / largest - float(np.hypot(across, down)) / (width / 2)

    return max(range(len(boxes)), key=prominence)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of n readable photos, ordered by person and file name, as arrays."""

    references: Vectors
    """(n, d) unit vectors; zeros if no face was found."""
    probes: Vectors
    face_found: Flags
    """(n,)"""
    refused: Flags
    """(n,) as in `Outcome`."""
    several_faces: Flags
    """(n,) enrolment also refuses these, until the client chooses one of the faces."""
    persons: Labels
    """(n,) the person each photo shows."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], persons: Sequence[int], dimension: int) -> Outcomes:
        """Return the outcomes of photos of `persons`, with templates of `dimension` numbers."""
        references, probes = np.zeros((2, len(outcomes), dimension), dtype=np.float32)
        for row, outcome in enumerate(outcomes):
            if outcome.faces:
                references[row], probes[row] = outcome.reference, outcome.probe
        return cls(
            references,
            probes,
            face_found=np.array([outcome.faces > 0 for outcome in outcomes]),
            refused=np.array([outcome.refused for outcome in outcomes]),
            several_faces=np.array([outcome.faces > 1 for outcome in outcomes]),
            persons=np.array(persons, dtype=np.int64),
        )
