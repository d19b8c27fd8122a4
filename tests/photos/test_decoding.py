from __future__ import annotations

import io
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile

from people import photos
from people.errors import PhotoRejected, UnreadablePhoto
from people.faces import Box
from tests import photo_samples

GREY = {"grey JPEG", "1-bit PNG", "16-bit PNG", "grey PNG with alpha", "grey HEIC"}
BAD = photo_samples.bad()
GOOD = photo_samples.good()


def _corners(image: np.ndarray) -> list[tuple[int, ...]]:
    height, width = image.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4), (3 * height // 4, width // 4)]
    return [tuple(round(value / 255) for value in image[y, x]) for y, x in points]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photo_is_rejected_with_a_specific_error(name: str) -> None:
    data, error = BAD[name]
    with pytest.raises(error) as raised:
        photos.decode(data)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "name", [name for name, (_, error) in BAD.items() if error.__name__ == "TooManyPixels"]
)
def test_a_decompression_bomb_is_rejected_before_it_is_decoded(name: str) -> None:
    data = BAD[name][0]
    tracemalloc.start()
    with pytest.raises(PhotoRejected):
        photos.decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_photo_is_decoded_as_it_looks(name: str) -> None:
    image = photos.decode(GOOD[name])
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    if name in GREY:
        assert np.ptp(image.astype(int), axis=2).max() <= 2
        assert image[-5:, -5:].min() > 230
    elif "transparent" not in name:
        assert _corners(image) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_of_every_orientation_are_turned_upright(orientation: int, format: str) -> None:
    image = photos.decode(photo_samples.with_orientation(orientation, format))
    assert image.shape == (48, 64, 3)
    assert _corners(image) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "exif",
    ["", "directory beyond the end", "more entries than exist", "orientation of 9", "not TIFF at all"],
)
def test_a_photo_with_damaged_metadata_is_accepted(exif: str, order: str) -> None:
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    content = {
        "": b"",
        "directory beyond the end": start[:4] + struct.pack(f"{order}I", 1 << 31),
        "more entries than exist": start + struct.pack(f"{order}H", 999) + bytes(12),
        "orientation of 9": start + struct.pack(f"{order}HHHIH", 1, 0x0112, 3, 1, 9) + bytes(6),
        "not TIFF at all": b"XX\0\0" + bytes(20),
    }[exif]
    data = photo_samples.saved(photo_samples.picture(), "JPEG", exif=b"Exif\0\0" + content, quality=95)
    assert _corners(photos.decode(data)) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_in_either_byte_order(order: str) -> None:
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    exif = b"Exif\0\0" + start + struct.pack(f"{order}HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    image = photos.decode(photo_samples.saved(photo_samples.picture(), "JPEG", exif=exif))
    assert image.shape == (64, 48, 3)


def test_a_long_photo_is_scaled_down_to_the_largest_side_that_later_stages_accept() -> None:
    image = photos.decode(photo_samples.saved(Image.new("RGB", (8000, 100)), "PNG"))
    assert image.shape == (51, photos.MAX_LONG_SIDE, 3)


def test_16_bit_values_are_scaled_and_not_clipped() -> None:
    grey = Image.fromarray(np.array([[0, 0x4000, 0x8000, 0xFFFF]], np.uint16))
    assert photos.decode(photo_samples.saved(grey, "PNG"))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    for format in ("PNG", "WEBP", "HEIF"):
        assert photos.decode(photo_samples.saved(clear, format)).min() >= 250


def test_decoding_does_not_change_the_warning_filters_of_other_threads() -> None:
    before = list(warnings.filters)
    for data in GOOD.values():
        photos.decode(data)
    assert list(warnings.filters) == before


def test_a_large_jpeg_is_decoded_at_a_reduced_scale_that_keeps_enough_pixels() -> None:
    image = photos.decode(photo_samples.saved(photo_samples.picture(4032, 3024), "JPEG"))
    assert image.shape == (1512, 2016, 3)
    assert max(image.shape) >= photos.LONG_SIDE


def test_a_phone_s_48_megapixel_photo_is_decoded() -> None:
    image = photos.decode(photo_samples.saved(Image.new("RGB", (8064, 6048)), "JPEG"))
    assert photos.LONG_SIDE <= max(image.shape) <= 4096


def test_a_stored_photo_has_no_metadata_and_looks_the_same() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 29.0)
    exif[ExifTags.Base.Model] = "Ada's camera"
    sent = photo_samples.saved(photo_samples.picture(), "JPEG", exif=exif, comment=b"at home", quality=95)
    image = photos.decode(sent)
    stored = photos.encode(image)
    with Image.open(io.BytesIO(stored)) as reread:
        assert dict(reread.getexif()) == {}
        assert "comment" not in reread.info
    assert b"Ada" not in stored
    assert b"Exif" not in stored
    assert np.abs(photos.decode(stored).astype(int) - image).mean() < 2


@pytest.mark.parametrize(
    "box",
    [Box(10, 10, 20, 20), Box(-30, -30, 60, 60), Box(50, 40, 40, 40), Box(-1e9, 0, 1e9, 9), Box(9, 9, 0, 0)],
)
def test_a_thumbnail_is_a_square_inside_the_photo_even_near_the_border(box: Box) -> None:
    grey = np.full((48, 64, 3), 128, np.uint8)
    with Image.open(io.BytesIO(photos.thumbnail(grey, box, 96))) as image:
        assert (image.size, image.format) == ((96, 96), "JPEG")
        assert np.asarray(image).min() > 120  # no black from outside the photo


def test_a_thumbnail_shows_the_face_in_its_middle() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 60:80] = 255
    with Image.open(io.BytesIO(photos.thumbnail(image, Box(60, 40, 20, 20), 90))) as thumbnail:
        pixels = np.asarray(thumbnail.convert("L"))
    assert pixels[45, 45] > 240
    assert pixels[:10].max() < 15
    assert pixels[:, -10:].max() < 15


ORIGINALS = [*GOOD.values(), photo_samples.with_orientation(6), photo_samples.with_orientation(6, "HEIF")]
DAMAGE = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 60),
    st.one_of(st.binary(max_size=4), st.just(b"\xff\xda")),
)


@settings(max_examples=600, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(ORIGINALS), st.lists(DAMAGE, min_size=1, max_size=8), st.booleans())
def test_decoding_damaged_photos_raises_only_photo_rejected(
    original: bytes, damages: list[tuple[float, int, bytes]], at_head: bool
) -> None:
    data = bytearray(original)
    for place, removed, inserted in damages:
        position = int(place * (min(len(data), 200) if at_head else len(data)))
        data[position : position + (removed if removed > 50 else len(inserted))] = inserted
    try:
        image = photos.decode(bytes(data))
    except PhotoRejected:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert max(image.shape) <= photos.MAX_LONG_SIDE
    assert image.flags.c_contiguous


def test_truncated_photos_are_rejected_even_if_a_library_makes_pillow_accept_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as face_recognition does on import
    with pytest.raises(UnreadablePhoto):
        photos.decode(BAD["truncated JPEG"][0])
