"""Decode a photo. Limits are checked before anything is decoded.

A photo's format is recognised by its first bytes. JPEG and PNG reach the decoder without their
metadata, so damaged EXIF, text chunks, animations and a phone's second picture (MPO) can't cause
warnings, failures or memory use. Colours are taken as sRGB: embedded profiles are ignored, since a
recogniser sees no difference.
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
"""Pixels: what later stages see at most."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes) -> RGBImage:
    """Return the photo, (height, width, 3) uint8 RGB, upright, C-contiguous, at most MAX_LONG_SIDE long.

    A JPEG is decoded at a half, a quarter or an eighth of its size as long as its long side keeps
    LONG_SIDE pixels. Transparency becomes white; of several frames the first is taken.
    Raises PhotoEmpty, PhotoTooLarge, NotAnImage, TooManyPixels or UnreadablePhoto.
    """
    if not data:
        raise PhotoEmpty
    if len(data) > MAX_BYTES:
        raise PhotoTooLarge
    # face_recognition sets it for the whole process when it is imported; half a face is no face.
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
            image, exif = heif.read(data), b""  # turned by its decoder; EXIF only repeats it
        else:
            raise NotAnImage
        rgb = _rgb(image)
        del image  # its memory is not needed twice
        rgb.thumbnail((MAX_LONG_SIDE, MAX_LONG_SIDE))
        turn = _TURNS.get(orientation(exif))
        return np.ascontiguousarray(np.asarray(rgb if turn is None else rgb.transpose(turn)))
    except PhotoRejected:
        raise
    except Exception as error:
        # Decoders raise all kinds of exceptions on damaged files: OSError, SyntaxError, struct.error …
        raise UnreadablePhoto from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would clip, not scale
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")
