"""Read a JPEG: remove its metadata, then decode it at a reduced scale if possible."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import simplejpeg
from PIL import Image

from people.errors import UnreadablePhoto
from people.faces import RGBImage
from people.photos.limits import MAX_PARTS, MAX_PIXELS, MAX_SCALED_PIXELS, MAX_SCANS, check_size

LONG_SIDE = 1600
"""Pixels. The long side of a photo decoded at a reduced scale is at least this, so that a face of 40 px in a
large group still has 40 px."""
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # a marker that has a length, or the end
_METADATA = {0xFE, 0xEF, *range(0xE1, 0xEE)}  # without APP0 and APP14, which define the colour space
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read(data: bytes) -> tuple[Image.Image | RGBImage, bytes]:
    """Return the JPEG, at a reduced scale if possible, and its EXIF. Bytes after its end are ignored.

    The JPEG is an array, or an image that Pillow hasn't decoded yet. Raises TooManyPixels or UnreadablePhoto.
    """
    view = memoryview(data)  # slicing it doesn't copy
    kept: list[memoryview] = []
    kept_to, at = 0, 2
    exif, frames, scans, parts = b"", [], [], 0
    while match := _MARKER.search(data, at):
        marker, at = match[1][0], match.end()
        parts += 1
        if marker == 0xD9:
            break
        if parts > MAX_PARTS:
            raise UnreadablePhoto
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        content = data[match.end() + 2 : at]
        if marker in _METADATA:
            kept.append(view[kept_to : match.start()])
            kept_to = at
            if marker == 0xE1 and content.startswith(b"Exif\0\0"):
                exif = exif or content
        elif marker in _FRAMES:
            frames.append((marker, *struct.unpack_from(">xHHB", content)))
        elif marker == 0xDA:
            scans.append(content[0])
    else:
        at = len(data)
    if len(frames) != 1 or not 1 <= len(scans) <= MAX_SCANS:
        raise UnreadablePhoto
    [(marker, height, width, components)] = frames
    # Unless the first scan contains all components, decoding at any scale takes memory for the full size.
    scalable = marker in (0xC0, 0xC1) and scans[0] == components
    check_size(width, height, MAX_SCALED_PIXELS if scalable else MAX_PIXELS)
    bare = b"".join((*kept, view[kept_to:at])) if kept or at < len(data) else data
    factor = next((divisor for divisor in (8, 4, 2) if max(width, height) >= divisor * LONG_SIDE), 1)
    min_width, min_height = -(-width // factor), -(-height // factor)
    try:
        # libjpeg-turbo decodes directly into an array, in half the time that Pillow takes
        pixels = simplejpeg.decode_jpeg(bare, "RGB", min_width=min_width, min_height=min_height)
        return np.asarray(pixels, np.uint8), exif
    except ValueError:
        # damaged, or in a colour space that simplejpeg can't convert to RGB: Pillow can distinguish the two
        image = Image.open(io.BytesIO(bare), formats=("JPEG",))
        image.draft("RGB", (min_width, min_height))
        return image, exif
