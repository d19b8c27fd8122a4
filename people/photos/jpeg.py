"""JPEG: metadata removed, then decoded at a reduced scale where that is possible."""

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
"""Pixels that a scaled photo keeps at least: where a face of 40 px in a large group still has 40 px."""
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # one that has a length, or the end
_METADATA = {0xFE, 0xEF, *range(0xE1, 0xEE)}  # not APP0 and APP14, which tell the colour space
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read(data: bytes) -> tuple[Image.Image | RGBImage, bytes]:
    """Return the JPEG, decoded at reduced scale or to be, and its EXIF. What follows its end is left out."""
    view = memoryview(data)  # its slices are no copies
    kept: list[memoryview] = []
    kept_to, at = 0, 2
    exif, frames, scans, parts = b"", [], [], 0
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        parts += 1
        if marker == 0xD9:
            break
        if parts > MAX_PARTS:
            raise UnreadablePhoto
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        content = data[found.end() + 2 : at]
        if marker in _METADATA:
            kept.append(view[kept_to : found.start()])
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
    # Unless all components come in the first scan, all of the photo is held in memory, whatever the scale.
    scalable = marker in (0xC0, 0xC1) and scans[0] == components
    check_size(width, height, MAX_SCALED_PIXELS if scalable else MAX_PIXELS)
    bare = b"".join((*kept, view[kept_to:at])) if kept or at < len(data) else data
    factor = next((one for one in (8, 4, 2) if max(width, height) >= one * LONG_SIDE), 1)
    least = -(-width // factor), -(-height // factor)
    try:
        # libjpeg-turbo straight into an array: half the time of Pillow's way
        pixels = simplejpeg.decode_jpeg(bare, "RGB", min_width=least[0], min_height=least[1])
        return np.asarray(pixels, np.uint8), exif
    except ValueError:  # damaged, or of colours that it doesn't turn into RGB: Pillow tells them apart
        image = Image.open(io.BytesIO(bare), formats=("JPEG",))
        image.draft("RGB", least)
        return image, exif
