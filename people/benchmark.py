"""How long each step takes, on this machine, beside others that do the same on the same photos.

What is compared runs turn by turn in one process on the same cores, so that the ratios hold also where
a machine is shared and its milliseconds don't.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from PIL import Image

from people import extraction, photos
from people.decision import unit
from people.engines import engine_id
from people.engines.base import FaceEngine, Vectors
from people.indexes.embedded import Matrix
from people.quality import measure, visible_share

WARM_UP = 3
CHUNK = 100_000
JPEG_QUALITY = 92
ASIDE = 0.35
"""Standard deviation of the noise, in lengths of the vector, that turns a template into a probe of the
same person: cosines of about 0.94, as of one person's photos."""


@dataclass
class Times:
    """Seconds that one step took, again and again."""

    seconds: list[float] = field(default_factory=list)

    def of(self, step: Callable[[], Any]) -> Any:
        """Do the step and note its time; return what it gives."""
        began = time.perf_counter()
        result = step()
        self.seconds.append(time.perf_counter() - began)
        return result

    def milliseconds(self) -> dict[str, float]:
        p50, p95, p99 = np.percentile(self.seconds[WARM_UP:], [50, 95, 99]) * 1000
        return {"p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}


def sized(portrait: bytes, width: int, height: int) -> bytes:
    """Return the portrait as a JPEG of this size: scaled to fit, grey round it."""
    with Image.open(io.BytesIO(portrait)) as opened:
        picture = opened.convert("RGB")
    scale = min(width / picture.width, height / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    canvas = Image.new("RGB", (width, height), "grey")
    canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def photo(data: bytes, engine: FaceEngine, others: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return the figures of one photo: of each stage, of the whole, and of `others` beside it."""
    stages = {name: Times() for name in ("decode", "detect", "align", "quality", "embed")}
    whole = Times()
    beside = {name: (OTHERS[name](), Times()) for name in others}
    faces = 0
    for _ in range(rounds + WARM_UP):
        image = stages["decode"].of(lambda: photos.decode(data))
        found = stages["detect"].of(lambda: engine.detect(image))  # noqa: B023 called at once
        faces = len(found)
        height, width = image.shape[:2]
        chips = stages["align"].of(lambda: [engine.align(image, face) for face in found])  # noqa: B023
        stages["quality"].of(
            lambda: [
                measure(face, chip, visible_share(face.box, width, height))  # noqa: B023
                for face, chip in zip(found, chips, strict=True)  # noqa: B023
            ]
        )
        stages["embed"].of(lambda: engine.embed(chips))  # noqa: B023
        whole.of(lambda: extraction.templates(extraction.extract(photos.decode(data), engine), engine))
        for run, times in beside.values():
            times.of(lambda: run(data))  # noqa: B023
    ours = whole.milliseconds()
    return {
        "faces": faces,
        "stages": {name: times.milliseconds() for name, times in stages.items()},
        "engine": ours,
        "against": {
            name: {**times.milliseconds(), "ratio": times.milliseconds()["p50_ms"] / ours["p50_ms"]}
            for name, (_, times) in beside.items()
        },
    }


def search(size: int, dimension: int, rounds: int, *, threads: int, seed: int = 1) -> dict[str, Any]:
    """Return the figures of searches among `size` synthetic templates, and the share of right answers.

    Right is whom a search by force in double precision finds.
    """
    random = np.random.default_rng(seed)
    matrix, people = Matrix(dimension), [uuid4() for _ in range(size)]
    rows = np.empty((size, dimension), np.float32)
    for start in range(0, size, CHUNK):
        part = slice(start, min(start + CHUNK, size))
        rows[part] = unit(random.standard_normal((part.stop - start, dimension)).astype(np.float32))
        matrix.extend(people[part], rows[part])
    times = Times()
    found: list[tuple[Vectors, UUID]] = []
    for _ in range(rounds + WARM_UP):
        wanted = int(random.integers(size))
        noise = random.standard_normal((1, dimension)).astype(np.float32) * (ASIDE / dimension**0.5)
        probe: Vectors = unit(rows[wanted : wanted + 1] + noise)
        ((nearest, *_),) = times.of(partial(matrix.nearest, probe, 20, threads=threads))
        found.append((probe, nearest))
    # apart from the searches, whose caches it would empty
    right = sum(people[_nearest_by_force(rows, probe)] == nearest for probe, nearest in found)
    return {**times.milliseconds(), "right": right / len(found)}


def _nearest_by_force(rows: Vectors, probe: Vectors) -> int:
    wide = probe[0].astype(np.float64)
    best = []
    for start in range(0, len(rows), CHUNK):
        cosines = rows[start : start + CHUNK].astype(np.float64) @ wide
        best.append((float(cosines.max()), start + int(cosines.argmax())))
    return max(best)[1]


def all_photos(
    portrait: Path, sizes: Sequence[tuple[int, int]], engine: FaceEngine, others: Sequence[str], rounds: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each size's name, such as 480x720, and its figures."""
    data = portrait.read_bytes()
    for width, height in sizes:
        yield f"{width}x{height}", photo(sized(data, width, height), engine, others, rounds)


def describe(engine: FaceEngine, cores: Sequence[int], rounds: int) -> dict[str, Any]:
    return {"engine": engine_id(engine), "cores": list(cores), "rounds": rounds}


def _face_recognition() -> Callable[[bytes], Any]:
    """The library, as its documentation shows it."""
    import face_recognition

    return lambda data: face_recognition.face_encodings(face_recognition.load_image_file(io.BytesIO(data)))


def _plain() -> Callable[[bytes], Any]:
    """The same two models the plain way: OpenCV's own classes, at full size."""
    from people.engines.plain import Plain

    return Plain()


OTHERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "face_recognition": _face_recognition,
    "plain": _plain,
}
