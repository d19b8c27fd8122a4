"""Read a WebP's first frame."""

from __future__ import annotations

import io
import struct

from PIL import Image

from people.photos.limits import check_size


def read(data: bytes) -> tuple[Image.Image, bytes]:
    """Return the WebP's first frame and its EXIF. Raises TooManyPixels or UnreadablePhoto.

    The size is read from the header first, because opening the file already takes 8 bytes per pixel.
    """
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    check_size(width, height)
    image = Image.open(io.BytesIO(data), formats=("WEBP",))
    check_size(*image.size)
    return image, image.info.get("exif", b"")
