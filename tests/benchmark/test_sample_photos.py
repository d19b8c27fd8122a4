from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark import sample_photos
from benchmark.errors import BenchmarkError

pytestmark = pytest.mark.once


def test_photos_have_the_given_size() -> None:
    sizes = []
    for data in (sample_photos.portrait(240, 320), sample_photos.group(1), sample_photos.group(40)):
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            sizes.append(image.size)
    assert sizes == [(240, 320), sample_photos.GROUP, sample_photos.GROUP]


def test_missing_samples_are_reported_with_the_command_that_downloads_them(
    settings: Any, tmp_path: Path
) -> None:
    settings.FACEREC_SAMPLES_DIR = tmp_path
    with pytest.raises(BenchmarkError, match=r"obama2\.jpg is missing\. Run `manage\.py fetch_samples`\."):
        sample_photos.portrait(240, 320)
