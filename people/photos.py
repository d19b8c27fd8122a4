"""Bytes to an upright RGB array, and back. Limits are checked before anything is decoded.

Colours are taken as sRGB: embedded profiles are ignored, since a recogniser sees no difference.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from people.engines.base import Box, RGBImage
from people.errors import (
    NotAnImage,
    PhotoEmpty,
    PhotoRejected,
    PhotoTooLarge,
    TooManyPixels,
    UnreadablePhoto,
)

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
"""Of what is decoded: 48 MB as RGB."""
MAX_SCALED_PIXELS = 50_000_000
"""Of a baseline JPEG, which is decoded at a fraction of its size and never held whole."""
MAX_SIDE = 16_383
"""Pixels: WebP's limit, and more than any camera's."""
LONG_SIDE = 1600
"""Pixels that a scaled photo keeps at least: where a face of 40 px in a large group still has 40 px."""
QUALITY = 95
THUMBNAIL_MARGIN = 0.25

_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")  # what phones write as MPO is opened as JPEG too
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

pillow_heif.register_heif_opener(thumbnails=False)


def decode(data: bytes) -> RGBImage:
    """Return the photo, (height, width, 3) uint8 RGB, upright, C-contiguous.

    A JPEG is decoded at a half, a quarter or an eighth of its size as long as its long side keeps
    LONG_SIDE pixels. Transparency becomes white; of several frames the first is taken.
    Raises PhotoEmpty, PhotoTooLarge, NotAnImage, TooManyPixels or UnreadablePhoto.
    """
    if not data:
        raise PhotoEmpty
    if len(data) > MAX_BYTES:
        raise PhotoTooLarge
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and large sizes; the first are ignored, the second refused here.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_size(image)
                return _upright(image)
        except PhotoRejected:
            raise
        except UnidentifiedImageError as error:
            raise (UnreadablePhoto if _starts_as_image(data) else NotAnImage) from error
        except Image.DecompressionBombError as error:
            raise TooManyPixels from error
        except Exception as error:
            # decoders raise whatever they like on damaged files: OSError, SyntaxError, struct.error …
            raise UnreadablePhoto from error


def encode(image: RGBImage) -> bytes:
    """Return the photo as it is kept: an upright JPEG with full colour resolution and no metadata."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def preview(image: RGBImage, long_side: int) -> bytes:
    """Return the photo as a JPEG of at most `long_side` pixels, to be shown."""
    picture = Image.fromarray(image)
    picture.thumbnail((long_side, long_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def thumbnail(image: RGBImage, box: Box, side: int) -> bytes:
    """Return a square JPEG of `side` pixels of the face at `box` with a margin round it."""
    half = max(box.width, box.height) * (0.5 + THUMBNAIL_MARGIN)
    x, y = box.left + box.width / 2, box.top + box.height / 2
    square = (round(x - half), round(y - half), round(x + half), round(y + half))
    picture = Image.fromarray(image).crop(square).resize((side, side), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _check_size(image: ImageFile.ImageFile) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadablePhoto
    scalable = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    # A progressive JPEG's coefficients are all held in memory, whatever the scale.
    limit = MAX_SCALED_PIXELS if scalable else MAX_PIXELS
    if width * height > limit or max(width, height) > MAX_SIDE:
        raise TooManyPixels(
            f"The photo has {width} × {height} pixels. Scale it down to {MAX_PIXELS // 1_000_000} "
            "megapixels or fewer."
        )


def _upright(image: ImageFile.ImageFile) -> RGBImage:
    # HEIF is turned by its decoder already, which resets the tag.
    turn = _TURNS.get(_orientation(image))
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        share = LONG_SIDE / max(width, height)
        image.draft("RGB", (max(round(width * share), 1), max(round(height * share), 1)))
    rgb = _rgb(image)
    if turn is not None:
        rgb = rgb.transpose(turn)
    if rgb.width * rgb.height > MAX_PIXELS:
        rgb.thumbnail((4096, 4096))
    return np.ascontiguousarray(np.asarray(rgb))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata is no reason to refuse a photo
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would clip, not scale
        image.load()
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _starts_as_image(data: bytes) -> bool:
    """Return whether the bytes begin as one of the formats: then they are damaged, not foreign."""
    return (
        data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif")
    )
