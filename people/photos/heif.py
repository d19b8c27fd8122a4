"""HEIC: the primary image."""

from __future__ import annotations

import pillow_heif
from PIL import Image

from people.photos.limits import check_size

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# Set once, for all threads. Workers share the cores; only the primary image is needed.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


def read(data: bytes) -> Image.Image:
    """Return the primary image of the HEIC, upright."""
    file = pillow_heif.open_heif(data)
    check_size(*file.size)
    image: Image.Image = file.to_pillow()
    return image
