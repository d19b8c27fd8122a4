"""Encode an RGB array as a JPEG, for storage or display."""

from __future__ import annotations

import io

from PIL import Image

from people.faces import Box, RGBImage

QUALITY = 95
THUMBNAIL_MARGIN = 0.25


def encode(image: RGBImage) -> bytes:
    """Return the photo as it is stored: an upright JPEG with full colour resolution and no metadata."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def preview(image: RGBImage, long_side: int) -> bytes:
    """Return the photo as a JPEG of at most `long_side` pixels, for display."""
    picture = Image.fromarray(image)
    picture.thumbnail((long_side, long_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def thumbnail(image: RGBImage, box: Box, side_px: int) -> bytes:
    """Return a JPEG, `side_px` square, of the face at `box` with a margin around it.

    At a border the square moves inward, and shrinks to the image's shorter side if it must.
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
