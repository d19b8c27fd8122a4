"""A headless Chromium, and what staff do with the admin in it, using what they see on the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.needs import BROWSER, DRIVER
from tests.service import Service

SCREENSHOTS = os.environ.get("FACEREC_SCREENSHOTS")
HEIGHT = 1000
"""Of the window, in CSS pixels."""


@contextmanager
def chromium(width: int) -> Iterator[webdriver.Chrome]:
    """Start a headless Chromium with a window of this width in CSS pixels, and close it afterwards."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", f"--window-size={width},{HEIGHT}",
    ):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    try:
        driver.set_window_size(width, HEIGHT)
        yield driver
    finally:
        driver.quit()


class Staff:
    """A member of staff who works in the admin of a running service."""

    def __init__(self, driver: webdriver.Chrome, service: Service) -> None:
        self.driver, self.service = driver, service

    def open(self, path: str) -> None:
        self.driver.get(f"{self.service.url}{path}")
        self.take_screenshot()

    def take_screenshot(self, of: str = "") -> None:
        """If FACEREC_SCREENSHOTS names a folder, save a screenshot there, scrolled to `of`."""
        if SCREENSHOTS:
            if of:
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(of))
            folder = Path(SCREENSHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            width = self.driver.get_window_size()["width"]
            taken = len(list(folder.glob(f"{width}-*.png")))
            self.driver.save_screenshot(str(folder / f"{width}-{taken + 1:02}.png"))

    def find(self, selector: str, seconds: int = 20) -> WebElement:
        """Wait until the page has an element that matches the CSS selector, and return the first."""
        return WebDriverWait(self.driver, seconds).until(
            presence_of_element_located((By.CSS_SELECTOR, selector))
        )

    def fill(self, name: str, text: str) -> None:
        field = self.find(f"[name={name}]")
        if field.get_attribute("type") != "file":
            field.clear()
        field.send_keys(text)

    def select(self, name: str, text: str) -> None:
        Select(self.find(f"[name={name}]")).select_by_visible_text(text)

    def click(self, selector: str) -> None:
        button = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def log_in(self) -> None:
        self.open("/admin/")
        self.fill("username", "admin")
        self.fill("password", self.service.password)
        self.click("[type=submit]")
        self.find("#user-tools")
        self.take_screenshot()

    def create_collection(self, name: str) -> None:
        self.open("/admin/people/collection/add/")
        self.fill("name", name)
        self.click("[name=_save]")
        self.find(".messagelist .success")
        self.take_screenshot()

    def enrol(self, name: str, collection: str, *photos: Path) -> None:
        """Add a person and wait until each of the photos is accepted."""
        self.open("/admin/people/person/add/")
        self.select("collection", collection)
        self.fill("name", name)
        self.fill("photos", "\n".join(str(photo.resolve()) for photo in photos))
        self.click("[name=_save]")
        # the page updates itself as the worker finishes
        WebDriverWait(self.driver, 60).until(
            lambda driver: (
                len(driver.find_elements(By.CSS_SELECTOR, "#photos .verdict.accepted")) == len(photos)
            )
        )
        self.take_screenshot()

    def identify(self, photo: Path, collection: str) -> list[str]:
        """Return the headings of the result, one per face."""
        self.open("/admin/identify/")
        self.fill("photo", str(photo.resolve()))
        self.select("collection", collection)
        self.click("form.identify [type=submit]")
        self.find("section.result")
        self.take_screenshot()
        return [heading.text for heading in self.driver.find_elements(By.CSS_SELECTOR, ".result .card h3")]
