"""Bytes to an upright RGB array, and back. Limits are checked before anything is decoded.

A photo's format is told by its first bytes. JPEG and PNG reach the decoder without their metadata:
damaged EXIF, text chunks, animations and a phone's second picture (MPO) can then neither warn, nor
fail, nor cost memory. Colours are taken as sRGB: embedded profiles are ignored, since a recogniser
sees no difference.
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pillow_heif
import simplejpeg
from PIL import Image, ImageFile

from people.errors import (
    NotAnImage,
    PhotoEmpty,
    PhotoRejected,
    PhotoTooLarge,
    TooManyPixels,
    UnreadablePhoto,
)
from people.faces import Box, RGBImage

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
"""Of what is decoded: 48 MB as RGB."""
MAX_SCALED_PIXELS = 50_000_000
"""Of a baseline JPEG, which is decoded at a fraction of its size and never held whole."""
MAX_SIDE = 16_383
"""Pixels: WebP's limit, and more than any camera's."""
MAX_SCANS = 100
"""Of a JPEG. Encoders write 1 to about 20; each costs a pass over all pixels for as little as 90 bytes."""
MAX_PARTS = 100_000
"""Segments of a JPEG, chunks of a PNG: 100 bytes each in the largest file, where encoders write kilobytes."""
LONG_SIDE = 1600
"""Pixels that a scaled photo keeps at least: where a face of 40 px in a large group still has 40 px."""
MAX_LONG_SIDE = 4096
"""Pixels: what later stages see at most."""
QUALITY = 95
THUMBNAIL_MARGIN = 0.25

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # one that has a length, or the end
_JPEG_METADATA = {0xFE, 0xEF, *range(0xE1, 0xEE)}  # not APP0 and APP14, which tell the colour space
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_PICTURE = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Set once, for all threads. Workers share the cores; only the primary picture is wanted.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


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
            image, exif = _jpeg(data)
            if isinstance(image, np.ndarray):
                if _orientation(exif) == 1 and max(image.shape) <= MAX_LONG_SIDE:
                    return image
                image = Image.fromarray(image)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            image, exif = _png(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            image, exif = _webp(data)
        elif data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
            image, exif = _heif(data), b""  # turned by its decoder; EXIF only repeats it
        else:
            raise NotAnImage
        rgb = _rgb(image)
        del image  # its memory is not needed twice
        rgb.thumbnail((MAX_LONG_SIDE, MAX_LONG_SIDE))
        turn = _TURNS.get(_orientation(exif))
        return np.ascontiguousarray(np.asarray(rgb if turn is None else rgb.transpose(turn)))
    except PhotoRejected:
        raise
    except Exception as error:
        # Decoders raise whatever they like on damaged files: OSError, SyntaxError, struct.error …
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


def thumbnail(image: RGBImage, box: Box, side_px: int) -> bytes:
    """Return a JPEG, `side_px` square, of the face at `box` with a margin round it.

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


def _jpeg(data: bytes) -> tuple[Image.Image | RGBImage, bytes]:
    """Return the JPEG, decoded at reduced scale or to be, and its EXIF. What follows its end is left out."""
    view = memoryview(data)  # its slices are no copies
    kept: list[memoryview] = []
    kept_to, at = 0, 2
    exif, frames, scans, parts = b"", [], [], 0
    while found := _JPEG_MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        parts += 1
        if marker == 0xD9:
            break
        if parts > MAX_PARTS:
            raise UnreadablePhoto
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        content = data[found.end() + 2 : at]
        if marker in _JPEG_METADATA:
            kept.append(view[kept_to : found.start()])
            kept_to = at
            if marker == 0xE1 and content.startswith(b"Exif\0\0"):
                exif = exif or content
        elif marker in _JPEG_FRAMES:
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
    _check_size(width, height, MAX_SCALED_PIXELS if scalable else MAX_PIXELS)
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


def _png(data: bytes) -> tuple[Image.Image, bytes]:
    """Return the PNG's default picture and its EXIF."""
    _check_size(*struct.unpack_from(">II", data, 16))
    kept, exif, at, parts = [data[:8]], b"", 8, 0
    while at + 8 <= len(data):
        parts += 1
        if parts > MAX_PARTS:
            raise UnreadablePhoto
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if name == b"eXIf":
            exif = chunk[8:-4]
        elif name in _PNG_PICTURE and (name != b"IHDR" or at == 8):  # a second one could lie on the size
            kept.append(chunk)
        at += len(chunk)
    return Image.open(io.BytesIO(b"".join(kept)), formats=("PNG",)), exif


def _webp(data: bytes) -> tuple[Image.Image, bytes]:
    """Return the WebP's first frame and its EXIF. Its decoder takes 8 bytes a pixel as it opens."""
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    _check_size(width, height)
    image = Image.open(io.BytesIO(data), formats=("WEBP",))
    _check_size(*image.size)
    return image, image.info.get("exif", b"")


def _heif(data: bytes) -> Image.Image:
    """Return the HEIC's primary picture, turned."""
    file = pillow_heif.open_heif(data)
    _check_size(*file.size)
    image: Image.Image = file.to_pillow()
    return image


def _check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise UnreadablePhoto
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise TooManyPixels(
            f"The photo has {width} × {height} pixels. Scale it down to {MAX_PIXELS // 1_000_000} "
            "megapixels or fewer."
        )


def _orientation(exif: bytes) -> int:
    """Return the EXIF orientation (tag 0x0112), 1–8; damaged metadata counts as none."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(count):
            tag, value = struct.unpack_from(f"{order}H6xH", exif, directory + 2 + 12 * entry)
            if tag == 0x0112:
                return int(value)
    except struct.error:
        pass
    return 1


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
