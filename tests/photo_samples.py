"""Photos as people and attackers send them, made here: nothing is fetched, nothing is somebody's."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from people.errors import (
    NotAnImage,
    PhotoEmpty,
    PhotoRejected,
    PhotoTooLarge,
    TooManyPixels,
    UnreadablePhoto,
)

pillow_heif.register_heif_opener()


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture whose top-left quarter is red, top right green, bottom left blue, rest white."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_orientation(orientation: int, format: str = "JPEG") -> bytes:
    """Return `picture()` stored so that a viewer who applies the EXIF orientation sees it upright."""
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    image = picture() if undo is None else picture().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, format, exif=exif.tobytes(), quality=95)


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    """Return a PNG that claims this size; `body` is its (compressed) image data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", body or zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def png_of_25_megapixels() -> bytes:
    """Return a whole PNG of 5000 × 5000 grey pixels in a few kilobytes."""
    return png_header(5000, 5000, zlib.compress(bytes(5001 * 5000), 9))


def bad() -> dict[str, tuple[bytes, type[PhotoRejected]]]:
    """Return hostile and broken photos by name, each with the error it deserves."""
    jpeg = saved(picture(640, 480), "JPEG")
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    return {
        "empty": (b"", PhotoEmpty),
        "truncated JPEG": (jpeg[: len(jpeg) // 2], UnreadablePhoto),
        "truncated PNG": (saved(picture(640, 480), "PNG")[:400], UnreadablePhoto),
        "truncated WebP": (saved(picture(640, 480), "WEBP")[:60], UnreadablePhoto),
        "JPEG's first bytes": (jpeg[:20], UnreadablePhoto),
        "text": (b"this is no photo, whatever its name says", NotAnImage),
        "SVG": (svg, NotAnImage),
        "TIFF": (saved(picture(), "TIFF"), NotAnImage),
        "GIF": (saved(picture(), "GIF"), NotAnImage),
        "PDF": (saved(picture(), "PDF"), NotAnImage),
        "0 × 0": (png_header(0, 0), UnreadablePhoto),
        "60 MP PNG": (png_header(10_000, 6_000), TooManyPixels),
        "60 MP JPEG": (saved(Image.new("L", (10_000, 6_000)), "JPEG"), TooManyPixels),
        "25 MP PNG of a few KB": (png_of_25_megapixels(), TooManyPixels),
        "25 MP progressive JPEG": (
            saved(Image.new("L", (5_000, 5_000)), "JPEG", progressive=True),
            TooManyPixels,
        ),
        "10,001 KB": (jpeg + bytes(10_001_000 - len(jpeg)), PhotoTooLarge),
    }


def good() -> dict[str, bytes]:
    """Return unusual but fine photos of `picture()` by name."""
    image = picture()
    transparent = image.convert("RGBA")
    sixteen = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 257)
    return {
        "JPEG": saved(image, "JPEG", quality=95),
        "progressive JPEG": saved(image, "JPEG", quality=95, progressive=True),
        "CMYK JPEG": saved(image.convert("CMYK"), "JPEG", quality=95),
        "grey JPEG": saved(image.convert("L"), "JPEG"),
        "MPO": saved(image, "MPO", quality=95),
        "PNG": saved(image, "PNG"),
        "palette PNG": saved(image.quantize(8), "PNG"),
        "palette PNG with a transparent colour": saved(image.quantize(8), "PNG", transparency=7),
        "1-bit PNG": saved(image.convert("1"), "PNG"),
        "16-bit PNG": saved(sixteen, "PNG"),
        "PNG with alpha": saved(transparent, "PNG"),
        "grey PNG with alpha": saved(transparent.convert("LA"), "PNG"),
        "WebP": saved(image, "WEBP", lossless=True),
        "animated WebP": saved(
            image, "WEBP", save_all=True, append_images=[Image.new("RGB", image.size)], lossless=True
        ),
        "HEIC": saved(image, "HEIF", quality=95),
    }
