"""Decode a photo. Size limits are checked before anything is decoded.

A photo's format is recognised by its first bytes. Metadata is removed from JPEG and PNG before they are
decoded, so damaged EXIF, text chunks, animations and a phone's second picture (MPO) can't cause warnings or
failures, or use memory. Colours are interpreted as sRGB: embedded profiles are ignored, because they make no
difference to a recogniser.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from people.errors import NotAnImage, PhotoEmpty, PhotoRejected, PhotoTooLarge, UnreadablePhoto
from people.faces import RGBImage
from people.photos import heif, jpeg, png, webp
from people.photos.exif import orientation
from people.photos.limits import MAX_BYTES

MAX_LONG_SIDE = 4096
"""Pixels. Later stages never get a larger image."""
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes) -> RGBImage:
    """Return the photo, (height, width, 3) uint8 RGB, upright, C-contiguous, with sides up to MAX_LONG_SIDE.

    A JPEG is decoded at half, a quarter or an eighth of its size if its long side is then still at least
    LONG_SIDE pixels. Transparent parts become white; only the first frame of several is decoded.
    Raises PhotoEmpty, PhotoTooLarge, NotAnImage, TooManyPixels or UnreadablePhoto.
    """
    if not data:
        raise PhotoEmpty
    if len(data) > MAX_BYTES:
        raise PhotoTooLarge
    # Importing face_recognition sets this to True for the whole process, but a truncated photo may show
    # half a face.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        if data.startswith(b"\xff\xd8\xff"):
            image, exif = jpeg.read(data)
            if isinstance(image, np.ndarray):
                if orientation(exif) == 1 and max(image.shape) <= MAX_LONG_SIDE:
                    return image
                image = Image.fromarray(image)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            image, exif = png.read(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            image, exif = webp.read(data)
        elif data[4:8] == b"ftyp" and data[8:12] in heif.BRANDS:
            image, exif = heif.read(data), b""  # its decoder turns it upright; EXIF repeats the orientation
        else:
            raise NotAnImage
        rgb = _rgb(image)
        del image  # frees its memory: from here on only `rgb` is needed
        rgb.thumbnail((MAX_LONG_SIDE, MAX_LONG_SIDE))
        transposition = _TRANSPOSITIONS.get(orientation(exif))
        upright = rgb if transposition is None else rgb.transpose(transposition)
        return np.ascontiguousarray(np.asarray(upright))
    except PhotoRejected:
        raise
    except Exception as error:
        # Decoders raise many kinds of exceptions for damaged files: OSError, SyntaxError, struct.error …
        raise UnreadablePhoto from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel: Pillow would clip the values, not scale them
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")
