"""Encode an RGB array as a JPEG, for storage or display."""

from __future__ import annotations

import io

from PIL import Image

from people.faces import Box, RGBImage

QUALITY = 95
"""JPEG quality of stored photos."""
THUMBNAIL_MARGIN = 0.25
"""On each side of the face, as a fraction of the box's longer side."""


def encode(image: RGBImage) -> bytes:
    """Return the photo as it is stored: an upright JPEG with full colour resolution and no metadata."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def preview(image: RGBImage, long_side: int) -> bytes:
    """Return the photo as a JPEG for display, with sides of at most `long_side` pixels."""
    picture = Image.fromarray(image)
    picture.thumbnail((long_side, long_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def thumbnail(image: RGBImage, box: Box, side_px: int) -> bytes:
    """Return a square JPEG with sides of `side_px` pixels: the face at `box` with a margin around it.

    Near a border the square is moved inward. If the image is smaller than the square, the square shrinks to
    the image's shorter side.
    """
    height, width = image.shape[:2]
    side = round(max(box.width, box.height) * (1 + 2 * THUMBNAIL_MARGIN))
    side = min(max(side, 1), width, height)
    left = min(max(round(box.left + box.width / 2 - side / 2), 0), width - side)
    top = min(max(round(box.top + box.height / 2 - side / 2), 0), height - side)
    crop = Image.fromarray(image[top : top + side, left : left + side])
    buffer = io.BytesIO()
    crop.resize((side_px, side_px), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
