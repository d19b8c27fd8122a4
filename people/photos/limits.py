"""Size limits of photos, checked before anything is decoded."""

from __future__ import annotations

from people.errors import TooManyPixels, UnreadablePhoto

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
"""Of what is decoded: 48 MB as RGB."""
MAX_SCALED_PIXELS = 50_000_000
"""Of a baseline JPEG, which is decoded at a fraction of its size and never held whole."""
MAX_SIDE = 16_383
"""Pixels: WebP's limit, and more than any camera's."""
MAX_SCANS = 100
"""Of a JPEG. Encoders write 1 to about 20; each costs a pass over all pixels for as little as 90 bytes."""
MAX_PARTS = 100_000
"""Segments of a JPEG, chunks of a PNG: 100 bytes each in the largest file, where encoders write kilobytes."""


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise UnreadablePhoto
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise TooManyPixels(
            f"The photo has {width} × {height} pixels. Scale it down to {MAX_PIXELS // 1_000_000} "
            "megapixels or fewer."
        )
