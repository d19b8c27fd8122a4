"""The outcome of each photo with an engine: whether a face was found, and its templates."""

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
"""(n,) int64: the person each photo or comparison belongs to."""

QUALITY_LEVEL = "auto"
"""The default quality level of enrolment."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the evaluation needs to know about a photo. The templates are those of its main face."""

    faces: int
    """How many faces were found."""
    refused: bool
    """Whether enrolment would refuse the photo even if the client chose the main face: because of that
    face's quality, or because no face was found."""
    reference: NDArray[np.float32]
    """(d,) of unit length, as enrolment stores it; (0,) if no face was found."""
    probe: NDArray[np.float32]
    """(d,) of unit length, as a search uses it; (0,) if no face was found."""


def outcome_of(data: bytes, engine: FaceEngine) -> Outcome:
    """Return the outcome of the photo in `data`, a file's bytes, with `engine`.

    Raises PhotoRejected if the file is not a usable photo.
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
    main_index = main_face([face.detected.box for face in faces], photo.width, photo.height)
    # from_photo would embed every good face, and for one purpose only.
    (reference,) = extraction.vectors([faces[main_index]], engine, Purpose.REFERENCE)
    (probe,) = extraction.vectors([faces[main_index]], engine, Purpose.PROBE)
    return Outcome(len(faces), main_index >= len(photo.faces), reference, probe)


def main_face(boxes: Sequence[Box], width: int, height: int) -> int:
    """Return the index in `boxes` of the main face of a photo of `width` × `height` pixels.

    The main face is large and central: it has the greatest (area / largest area) − (distance of its centre
    from the photo's centre / half the width). So a bystander isn't mistaken for the person whose folder it
    is. Raises ValueError if there are no boxes.
    """
    largest = max(box.area for box in boxes) or 1.0

    def prominence(index: int) -> float:
        box = boxes[index]
        dx = box.left + box.width / 2 - width / 2
        dy = box.top + box.height / 2 - height / 2
        return box.area / largest - float(np.hypot(dx, dy)) / (width / 2)

    return max(range(len(boxes)), key=prominence)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of n readable photos, ordered by person and file name, as arrays."""

    references: Vectors
    """(n, d) unit vectors; zeros if no face was found."""
    probes: Vectors
    """(n, d) unit vectors; zeros if no face was found."""
    face_found: Flags
    """(n,)"""
    refused: Flags
    """(n,) as in `Outcome`."""
    several_faces: Flags
    """(n,) enrolment refuses these photos as well, unless the client chooses one of the faces."""
    persons: Labels
    """(n,) the person each photo shows."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], persons: Sequence[int], dimension: int) -> Outcomes:
        """Return `outcomes` as arrays, with the person of each photo. Templates have `dimension` numbers."""
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
