from __future__ import annotations

import io
import random
import tracemalloc

import numpy as np
import pytest
from PIL import ExifTags, Image

from people import photos
from people.engines.base import Box
from people.errors import PhotoRejected
from tests import photo_samples

GREY = {"grey JPEG", "1-bit PNG", "16-bit PNG", "grey PNG with alpha"}
BAD = photo_samples.bad()
GOOD = photo_samples.good()


def _corners(image: np.ndarray) -> list[tuple[int, ...]]:
    height, width = image.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4), (3 * height // 4, width // 4)]
    return [tuple(round(value / 255) for value in image[y, x]) for y, x in points]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photo_is_refused_with_its_own_error(name: str) -> None:
    data, error = BAD[name]
    with pytest.raises(error) as raised:
        photos.decode(data)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "name", ["60 MP PNG", "25 MP PNG of a few KB", "25 MP progressive JPEG", "60 MP JPEG"]
)
def test_a_bomb_is_refused_before_it_is_decoded(name: str) -> None:
    data = BAD[name][0]
    tracemalloc.start()
    with pytest.raises(PhotoRejected):
        photos.decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_photo_is_read_as_it_looks(name: str) -> None:
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
def test_every_orientation_comes_upright(orientation: int, format: str) -> None:
    image = photos.decode(photo_samples.with_orientation(orientation, format))
    assert image.shape == (48, 64, 3)
    assert _corners(image) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_damaged_metadata_is_no_reason_to_refuse_a_photo() -> None:
    data = photo_samples.with_orientation(6).replace(b"Exif\x00\x00MM\x00*", b"Exif\x00\x00XX\xff\xff")
    assert photos.decode(data).shape[2] == 3


def test_a_large_jpeg_is_read_at_reduced_scale_that_keeps_enough_pixels() -> None:
    image = photos.decode(photo_samples.saved(photo_samples.picture(4032, 3024), "JPEG"))
    assert image.shape == (1512, 2016, 3)
    assert max(image.shape) >= photos.LONG_SIDE


def test_a_48_megapixel_photo_of_a_phone_is_read() -> None:
    image = photos.decode(photo_samples.saved(Image.new("RGB", (8064, 6048)), "JPEG"))
    assert photos.LONG_SIDE <= max(image.shape) <= 4096


def test_what_is_kept_has_no_metadata_and_looks_the_same() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 29.0)
    exif[ExifTags.Base.Model] = "Camera of Somebody"
    sent = photo_samples.saved(photo_samples.picture(), "JPEG", exif=exif, comment=b"at home", quality=95)
    image = photos.decode(sent)
    kept = photos.encode(image)
    with Image.open(io.BytesIO(kept)) as reread:
        assert dict(reread.getexif()) == {}
        assert "comment" not in reread.info
    assert b"Somebody" not in kept
    assert b"Exif" not in kept
    assert np.abs(photos.decode(kept).astype(int) - image).mean() < 2


@pytest.mark.parametrize("box", [Box(10, 10, 20, 20), Box(-30, -30, 60, 60), Box(50, 40, 40, 40)])
def test_a_thumbnail_is_a_square_of_the_face_even_at_the_border(box: Box) -> None:
    with Image.open(io.BytesIO(photos.thumbnail(np.zeros((48, 64, 3), np.uint8), box, 96))) as image:
        assert (image.size, image.format) == ((96, 96), "JPEG")


def test_no_damage_whatever_escapes_as_another_error() -> None:
    draw = random.Random(11)
    originals = [*GOOD.values(), photo_samples.with_orientation(6), photo_samples.with_orientation(6, "HEIF")]
    refused = 0
    for _ in range(1500):
        data = bytearray(draw.choice(originals))
        for _ in range(draw.randint(1, 12)):
            where = draw.randrange(len(data))
            if draw.random() < 0.2:
                del data[where : where + draw.randint(1, 50)]
            else:
                data[where] = draw.randrange(256)
            if not data:
                break
        try:
            image = photos.decode(bytes(data))
            assert image.ndim == 3
        except PhotoRejected:
            refused += 1
    assert 100 < refused < 1500
