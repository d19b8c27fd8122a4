"""The photos that are measured: one public-domain portrait, at any size or several times in one photo."""

from __future__ import annotations

import io
from pathlib import Path

from django.conf import settings
from PIL import Image

from benchmark.errors import BenchmarkError

REFERENCE = "obama.jpg"
PROBE = "obama2.jpg"
"""Another photo of the same person."""
JPEG_QUALITY = 92
GROUP = (1600, 1200)
"""Width and height in pixels of a group photo, the same for any number of people."""
CELL = (200, 240)
"""Width and height in pixels that each person of a group photo gets."""
MAX_GROUP = (GROUP[0] // CELL[0]) * (GROUP[1] // CELL[1])


def portrait(width: int, height: int) -> bytes:
    """Return PROBE as a JPEG of this size: scaled to fit, with grey margins."""
    return _on_grey((width, height), (width, height), 1)


def group(people: int) -> bytes:
    """Return a JPEG of GROUP's size that contains PROBE `people` times, at most MAX_GROUP times."""
    return _on_grey(GROUP, CELL, people)


def read(name: str) -> bytes:
    """Return a sample's bytes. Raises BenchmarkError if the samples were not fetched."""
    path: Path = settings.FACEREC_SAMPLES_DIR / name
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BenchmarkError(f"{path} is missing. Run `manage.py fetch_samples`.") from error


def _on_grey(size: tuple[int, int], cell: tuple[int, int], times: int) -> bytes:
    with Image.open(io.BytesIO(read(PROBE))) as sample:
        picture = sample.convert("RGB")
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
