"""Read a PNG, reduced to the chunks of its default image."""

from __future__ import annotations

import io
import struct

from PIL import Image

from people.errors import UnreadablePhoto
from people.photos.limits import MAX_PARTS, check_size

_IMAGE_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def read(data: bytes) -> tuple[Image.Image, bytes]:
    """Return the PNG's default image and its EXIF. Raises TooManyPixels or UnreadablePhoto."""
    check_size(*struct.unpack_from(">II", data, 16))
    kept, exif, at, parts = [data[:8]], b"", 8, 0
    while at + 8 <= len(data):
        parts += 1
        if parts > MAX_PARTS:
            raise UnreadablePhoto
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if name == b"eXIf":
            exif = chunk[8:-4]
        elif name in _IMAGE_CHUNKS and (name != b"IHDR" or at == 8):
            kept.append(chunk)  # without any second IHDR, which could state a different size
        at += len(chunk)
    return Image.open(io.BytesIO(b"".join(kept)), formats=("PNG",)), exif
