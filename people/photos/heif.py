"""Read a HEIC file's primary image."""

from __future__ import annotations

import pillow_heif
from PIL import Image

from people.photos.limits import check_size

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# These options apply to all threads. One decoder thread, because processes share the cores; and only the
# primary image is needed.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


def read(data: bytes) -> Image.Image:
    """Return the HEIC's primary image, upright. Raises TooManyPixels or UnreadablePhoto."""
    file = pillow_heif.open_heif(data)
    check_size(*file.size)
    image: Image.Image = file.to_pillow()
    return image
