"""Size limits of photos, checked before anything is decoded."""

from __future__ import annotations

from people.errors import TooManyPixels, UnreadablePhoto

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
"""Pixels of a photo that is decoded at full size: 48 MB as RGB."""
MAX_SCALED_PIXELS = 50_000_000
"""Pixels of a baseline JPEG, which is decoded at a fraction of its size and never in memory as a whole."""
MAX_SIDE = 16_383
"""Pixels: WebP's limit, and more than any camera produces."""
MAX_SCANS = 100
"""Scans of a JPEG. Encoders write 1 to about 20. A scan can be as short as 90 bytes, yet it takes a pass over
all pixels."""
MAX_PARTS = 100_000
"""Segments of a JPEG, or chunks of a PNG. At this number, they have 100 bytes each in the largest file;
encoders write kilobytes each."""


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raise TooManyPixels if the photo is too large, or UnreadablePhoto if a side is 0."""
    if width < 1 or height < 1:
        raise UnreadablePhoto
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise TooManyPixels(
            f"The photo has {width} × {height} pixels. Scale it down to {MAX_PIXELS // 1_000_000} "
            "megapixels or fewer."
        )
