"""A face engine for synthetic photos: fast, deterministic, and with as many people as a test needs.

A photo is a row of square tiles. A tile with a red frame is a face; the 8 × 8 grey squares in it
are the person's vector. So tests with this engine still use real decoding, storage, extraction and search.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from people.decision import Calibration
from people.faces import Box, Chip, DetectedFace, RGBImage, Vectors

TILE = 160
FRAME = 16
GRID = 8
CHIP = TILE - 2 * FRAME
DIMENSION = GRID * GRID


class FakeEngine:
    name = "fake"
    version = 1
    dimension = DIMENSION
    sure_confidence = 0.0
    # quantiles of the cosine between two random directions in 64 dimensions
    calibration = Calibration(
        "fake/1", ((1e-1, 0.160), (1e-2, 0.289), (1e-3, 0.381), (1e-4, 0.453), (1e-5, 0.512), (1e-6, 0.562))
    )

    def __init__(self, *, threads: int) -> None:
        del threads

    def detect(self, image: RGBImage) -> list[DetectedFace]:
        faces = []
        for top in range(0, image.shape[0] - TILE + 1, TILE):
            for left in range(0, image.shape[1] - TILE + 1, TILE):
                corner = image[top + 2 : top + FRAME - 2, left + 2 : left + FRAME - 2].mean(axis=(0, 1))
                if corner[0] > 180 and corner[1] < 90 and corner[2] < 90:
                    faces.append(self._face(left, top))
        return faces

    def align(self, image: RGBImage, face: DetectedFace) -> Chip:
        left, top = round(face.box.left), round(face.box.top)
        return np.ascontiguousarray(
            image[top + FRAME : top + TILE - FRAME, left + FRAME : left + TILE - FRAME]
        )

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        side = CHIP // GRID
        means = [
            chip.mean(axis=2).reshape(GRID, side, GRID, side).mean(axis=(1, 3)).ravel() for chip in chips
        ]
        grey = np.array(means, dtype=np.float32).reshape(len(chips), GRID * GRID)
        vectors: Vectors = grey - grey.mean(axis=1, keepdims=True)
        return vectors

    def _face(self, left: int, top: int) -> DetectedFace:
        x, y = left + TILE / 2, top + TILE / 2
        landmarks = {
            "left_eye": (x - 20, y - 20), "right_eye": (x + 20, y - 20), "nose": (x, y + 2),
            "mouth_left": (x - 15, y + 20), "mouth_right": (x + 15, y + 20),
        }  # fmt: skip
        return DetectedFace(Box(left, top, TILE, TILE), landmarks, 0.99)


class OtherFakeEngine(FakeEngine):
    """Another engine, which gives the same people different vectors."""

    name = "other-fake"
    version = 3

    def embed(self, chips: Sequence[Chip], *, thoroughly: bool = False) -> Vectors:
        return np.ascontiguousarray(np.roll(super().embed(chips), 7, axis=1) * 0.5)


def photo(*seeds: int | None, variation: int = 0, dark: bool = False, side: int | None = None) -> bytes:
    """Return a PNG with one tile for each seed: the face of person `seed`, or no face for None.

    Photos of a person with different `variation` differ slightly. `dark` makes every face too dark to enrol.
    `side` scales the photo to this many pixels in width and height.
    """
    tiles = [_tile(seed, variation, dark) for seed in seeds]
    image = Image.fromarray(np.concatenate(tiles, axis=1))
    if side is not None:
        image = image.resize((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _tile(seed: int | None, variation: int, dark: bool) -> RGBImage:
    tile = np.full((TILE, TILE, 3), 128, dtype=np.uint8)
    if seed is None:
        tile[0, 0, 2] = variation % 256  # makes a different file, still without a face
        return tile
    person = np.random.default_rng(seed).standard_normal(DIMENSION)
    noise = np.random.default_rng([seed, variation]).standard_normal(DIMENSION) if variation else 0.0
    grey = np.clip(128 + 40 * (person + 0.25 * noise), 0, 255).reshape(GRID, GRID)
    if dark:
        grey = grey / 16
    tile[:] = (230, 20, 20)
    side = CHIP // GRID
    face = np.kron(grey, np.ones((side, side))).astype(np.uint8)
    tile[FRAME : TILE - FRAME, FRAME : TILE - FRAME] = face[:, :, None]
    return tile
