"""Photos as users and attackers send them. All are generated: none is downloaded or shows a real person."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from people.errors import NotAnImage, PhotoEmpty, PhotoRejected, PhotoTooLarge, TooManyPixels, UnreadablePhoto

pillow_heif.register_heif_opener()


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture whose top-left quarter is red, top right green, bottom left blue, rest white."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """Return the image as a file of this format, with these options of Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_orientation(orientation: int, format: str = "JPEG") -> bytes:
    """Return `picture()` stored so that a viewer that applies the EXIF orientation shows it upright."""
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    image = picture() if undo is None else picture().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, format, exif=exif.tobytes(), quality=95)


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    """Return a PNG that claims this size; `body` is its (compressed) image data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", body or zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )


def png_of_25_megapixels() -> bytes:
    """Return a complete PNG of 5000 × 5000 grey pixels in a few kilobytes."""
    return png_header(5000, 5000, zlib.compress(bytes(5001 * 5000), 9))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Return the PNG with these chunks after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def rgb_png_of_16_bits() -> bytes:
    """Return `picture()` with 16 bits per channel, which Pillow reads but can't write."""
    pixels = np.asarray(picture()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    png = png_header(64, 48, zlib.compress(rows))
    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    return png[:8] + png_chunk(b"IHDR", header) + png[33:]


def webp_canvas(width: int, height: int) -> bytes:
    """Return an animated WebP that claims this canvas, with one frame of 16 × 16 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    def size(*sides: int) -> bytes:
        return b"".join((side - 1).to_bytes(3, "little") for side in sides)

    frame = bytes(6) + size(16, 16) + bytes(4) + saved(picture(16, 16), "WEBP", lossless=True)[12:]
    body = b"WEBP" + chunk(b"VP8X", b"\2\0\0\0" + size(width, height))
    body += chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_of_many_scans(scans: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated `scans` times. Each scan covers all pixels."""
    jpeg = saved(Image.new("L", (1000, 1000), 128), "JPEG", progressive=True)
    return jpeg[:-2] + jpeg[jpeg.rfind(b"\xff\xda") : -2] * scans + jpeg[-2:]


def jpeg_in_single_scans(width: int, height: int) -> bytes:
    """Return a baseline JPEG with one scan per component, which a decoder must hold in memory completely."""
    jpeg = saved(Image.new("RGB", (8, 8)), "JPEG", subsampling=0)
    frame, scan = jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xda")
    head = bytearray(jpeg[:scan])
    head[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    blocks = -(-width // 8) * -(-height // 8)
    # in the standard tables, the bits 001010 are a block: no change of DC, end of block
    pixels = b"\x28\xa2\x8a" * (blocks // 4 + 1)
    scans = [b"\xff\xda\0\x08\1" + bytes([number, 0, 0, 63, 0]) + pixels for number in (1, 2, 3)]
    return bytes(head) + b"".join(scans) + b"\xff\xd9"


@cache
def _large_heic() -> bytes:
    return saved(Image.new("RGB", (640, 480)), "HEIF", quality=10)


def heic_claiming(width: int, height: int) -> bytes:
    """Return a HEIC of 640 × 480 pixels whose header claims another size."""
    heic = bytearray(_large_heic())
    size_box = heic.find(b"ispe")
    heic[size_box + 8 : size_box + 16] = struct.pack(">II", width, height)
    return bytes(heic)


@cache
def bad() -> dict[str, tuple[bytes, type[PhotoRejected]]]:
    """Return hostile and broken photos by name, each with the error that refuses it."""
    jpeg = saved(picture(640, 480), "JPEG")
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    return {
        "empty": (b"", PhotoEmpty),
        "truncated JPEG": (jpeg[: len(jpeg) // 2], UnreadablePhoto),
        "truncated PNG": (saved(picture(640, 480), "PNG")[:400], UnreadablePhoto),
        "truncated WebP": (saved(picture(640, 480), "WEBP")[:60], UnreadablePhoto),
        "JPEG's first bytes": (jpeg[:20], UnreadablePhoto),
        "text": (b"this is text, whatever the file's name says", NotAnImage),
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
        "49 MP JPEG in single scans": (jpeg_in_single_scans(7_000, 7_000), TooManyPixels),
        "JPEG of 200 scans": (jpeg_of_many_scans(190), UnreadablePhoto),
        "JPEG of empty comments": (jpeg[:2] + b"\xff\xfe\0\2" * 200_000 + jpeg[2:], UnreadablePhoto),
        "PNG of empty chunks": (
            with_chunks(saved(picture(), "PNG"), png_chunk(b"tEXt", b"") * 200_000),
            UnreadablePhoto,
        ),
        "WebP with a canvas of 36 MP": (webp_canvas(6_000, 6_000), TooManyPixels),
        "HEIC larger than its header claims": (heic_claiming(64, 48), UnreadablePhoto),
        "25 MP HEIC": (heic_claiming(5_000, 5_000), TooManyPixels),
        "20,000 pixels wide": (png_header(20_000, 1), TooManyPixels),
        "GIF of one pixel": (b"GIF89a\1\0\1\0\0\0\0;", NotAnImage),
        "AVIF": (b"\0\0\0\x1cftypavif" + bytes(40), NotAnImage),
        "10,001 KB": (jpeg + bytes(10_001_000 - len(jpeg)), PhotoTooLarge),
    }


@cache
def good() -> dict[str, bytes]:
    """Return unusual but valid photos of `picture()` by name."""
    image = picture()
    transparent = image.convert("RGBA")
    sixteen = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 257)
    return {
        "JPEG": saved(image, "JPEG", quality=95),
        "progressive JPEG": saved(image, "JPEG", quality=95, progressive=True),
        "CMYK JPEG": saved(image.convert("CMYK"), "JPEG", quality=95),
        "grey JPEG": saved(image.convert("L"), "JPEG"),
        "MPO": saved(image, "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", image.size)]),
        "JPEG with a film after it": saved(image, "JPEG", quality=95) + b"\xff\xc2\xff\xda" * 5000,
        "JPEG in 4:4:4 restarts": saved(image, "JPEG", quality=95, subsampling=0, restart_marker_blocks=1),
        "16-bit RGB PNG": rgb_png_of_16_bits(),
        "PNG with 70 MB of text": with_chunks(
            saved(image, "PNG"), *[png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000)))] * 70
        ),
        "PNG with a broken profile": with_chunks(saved(image, "PNG"), png_chunk(b"iCCP", b"x\0\7")),
        "animated PNG": saved(image, "PNG", save_all=True, append_images=[Image.new("RGB", image.size)]),
        "PNG with an animation without frames": with_chunks(
            saved(image, "PNG"), png_chunk(b"acTL", bytes(8))
        ),
        "PNG with a transparent colour": saved(image, "PNG", transparency=(9, 9, 9)),
        "palette PNG with alpha": saved(image.convert("RGBA").quantize(8), "PNG"),
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
        "grey HEIC": saved(image.convert("L"), "HEIF", quality=95),
        "HEIC with alpha": saved(transparent, "HEIF", quality=95),
        "HEIC with two pictures": saved(
            image, "HEIF", quality=95, save_all=True, append_images=[Image.new("RGB", (640, 480))]
        ),
    }
