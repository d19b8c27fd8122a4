"""Take the README's screenshot of the admin: a photo identified in the sample collection.

    .venv/bin/python -m tests.screenshot

Starts the service on an empty database, so that the picture shows nothing but the public-domain samples.
"""

from __future__ import annotations

import argparse
import base64
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver

from tests.browser import Staff, chromium
from tests.service import ROOT, Service, running

WIDTH, HEIGHT = 1280, 760
"""Of the window, in CSS pixels. Photos are at most four fifths as high as the window."""
MAX_BYTES = 300_000


def load_samples(service: Service) -> None:
    """Create the sample collection, as `make run` does."""
    subprocess.run(
        [sys.executable, "manage.py", "quickstart"],
        cwd=ROOT, env=service.variables, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def whole_page(driver: webdriver.Chrome) -> Image.Image:
    """Return a picture of the page from top to bottom, including what is outside the window."""
    screenshot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    return Image.open(io.BytesIO(base64.b64decode(screenshot["data"])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images" / "admin.png")
    path: Path = parser.parse_args().to
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service, chromium(WIDTH) as driver:
        load_samples(service)
        driver.set_window_size(WIDTH, HEIGHT)
        staff = Staff(driver, service)
        staff.log_in()
        staff.identify(Path(service.variables["FACEREC_SAMPLES_DIR"]) / "obama3.jpg", "sample")
        picture = whole_page(driver)
    path.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours are enough for the page and one portrait
    picture.convert("RGB").quantize(256).save(path, optimize=True)
    size = path.stat().st_size
    assert size <= MAX_BYTES, f"{path} has {size} bytes: more than {MAX_BYTES}"
    sys.stdout.write(f"{path}: {picture.width} × {picture.height} px, {size // 1000} kB\n")


if __name__ == "__main__":
    main()
