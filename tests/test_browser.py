"""Staff's main job in a real browser, on real faces, against real processes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located as present
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.needs import BROWSER, DRIVER
from tests.service import Service, running

pytestmark = [pytest.mark.browser, pytest.mark.once]
SCREENSHOTS = os.environ.get("FACEREC_SCREENSHOTS")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(params=[1280, 360])
def browser(request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", f"--window-size={request.param},1000",
    ):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    driver.set_window_size(request.param, 1000)
    yield driver
    driver.quit()


class Staff:
    """What a member of staff does, by what they see on the page."""

    def __init__(self, driver: webdriver.Chrome, service: Service) -> None:
        self.driver, self.service = driver, service

    def opens(self, path: str) -> None:
        self.driver.get(f"{self.service.url}{path}")
        self.keeps_a_picture()

    def keeps_a_picture(self, of: str = "") -> None:
        """Keep a picture of what the window shows, scrolled to `of`."""
        if SCREENSHOTS:
            if of:
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(of))
            folder = Path(SCREENSHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            width = self.driver.get_window_size()["width"]
            taken = len(list(folder.glob(f"{width}-*.png")))
            self.driver.save_screenshot(str(folder / f"{width}-{taken + 1:02}.png"))

    def find(self, selector: str, seconds: int = 20) -> WebElement:
        return WebDriverWait(self.driver, seconds).until(present((By.CSS_SELECTOR, selector)))

    def fills(self, name: str, text: str) -> None:
        field = self.find(f"[name={name}]")
        if field.get_attribute("type") != "file":
            field.clear()
        field.send_keys(text)

    def presses(self, selector: str) -> None:
        button = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def logs_in(self) -> None:
        self.opens("/admin/")
        self.fills("username", "admin")
        self.fills("password", self.service.password)
        self.presses("[type=submit]")
        self.find("#user-tools")
        self.keeps_a_picture()

    def enrols(self, name: str, collection: str, *photos: Path) -> None:
        self.opens("/admin/people/person/add/")
        Select(self.find("[name=collection]")).select_by_visible_text(collection)
        self.fills("name", name)
        self.fills("photos", "\n".join(str(photo.resolve()) for photo in photos))
        self.presses("[name=_save]")
        # the page reloads until the worker has finished everything
        WebDriverWait(self.driver, 60).until(
            lambda driver: (
                len(driver.find_elements(By.CSS_SELECTOR, "#photos .verdict.accepted")) == len(photos)
            )
        )
        self.keeps_a_picture()
        assert len(self.driver.find_elements(By.CSS_SELECTOR, "#photos .mark.good rect")) == len(photos)

    def identifies(self, photo: Path, collection: str) -> list[str]:
        """Return the headings of the result, one a face."""
        self.opens("/admin/identify/")
        self.fills("photo", str(photo.resolve()))
        Select(self.find("[name=collection]")).select_by_visible_text(collection)
        self.presses("form.identify [type=submit]")
        self.find("section.result")
        self.keeps_a_picture()
        return [heading.text for heading in self.driver.find_elements(By.CSS_SELECTOR, ".result .card h3")]

    def sees_no_sideways_scroll(self) -> None:
        wide = self.driver.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 1


def test_staff_enrol_identify_and_erase_people(
    browser: webdriver.Chrome, service: Service, samples: Path
) -> None:
    staff = Staff(browser, service)
    collection = f"office-{browser.get_window_size()['width']}"
    staff.logs_in()
    staff.opens("/admin/people/collection/add/")
    staff.fills("name", collection)
    staff.presses("[name=_save]")
    staff.find(".messagelist .success")
    staff.keeps_a_picture()

    staff.enrols("Barack Obama", collection, samples / "obama.jpg", samples / "obama2.jpg")
    staff.sees_no_sideways_scroll()
    staff.enrols("Joe Biden", collection, samples / "biden.jpg")
    staff.opens("/admin/people/person/")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#result_list img.face")) >= 2

    assert staff.identifies(samples / "obama3.jpg", collection) == ["Face 1: Barack Obama"]
    staff.sees_no_sideways_scroll()
    label = staff.find(".result .mark.good text").get_attribute("textContent")
    assert label is not None
    assert label.startswith("Barack Obama ")
    # the box lies on the face: in the upper part of a portrait, and inside it
    box = staff.find(".result .mark.good rect")
    left, top, width, height = (float(box.get_attribute(name) or 0) for name in ("x", "y", "width", "height"))
    assert 300 < left + width / 2 < 1100
    assert 100 < top + height / 2 < 900

    assert staff.identifies(samples / "astronaut.png", collection) == ["Face 1: No match in this collection"]

    staff.opens("/admin/people/person/?q=Obama")
    browser.find_element(By.LINK_TEXT, "Barack Obama").click()
    staff.presses(".deletelink")
    staff.find("#content form [type=submit]")
    staff.keeps_a_picture()
    staff.presses("#content form [type=submit]")
    staff.find(".messagelist .info")
    staff.keeps_a_picture()
    assert staff.identifies(samples / "obama3.jpg", collection) == ["Face 1: No match in this collection"]


def test_staff_import_an_archive_and_watch_it(
    browser: webdriver.Chrome, service: Service, samples: Path, tmp_path: Path
) -> None:
    staff = Staff(browser, service)
    collection = f"import-{browser.get_window_size()['width']}"
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for photo in ("obama.jpg", "obama2.jpg"):
            file.write(samples / photo, f"obama/{photo}")
        file.write(samples / "biden.jpg", "biden/biden.jpg")
        file.writestr("nobody/a-photo-with-quite-a-long-name-that-has-no-face-in-it-2026-11-23.txt", "x")
        file.writestr("people.csv", "folder,name\nobama,Barack Obama\nbiden,Joe Biden\n")
    staff.logs_in()
    staff.opens("/admin/people/collection/add/")
    staff.fills("name", collection)
    staff.presses("[name=_save]")
    staff.find(".messagelist .success")
    staff.opens("/admin/people/importjob/add/")
    staff.sees_no_sideways_scroll()
    staff.fills("archive", str(archive))
    Select(staff.find("[name=collection]")).select_by_visible_text(collection)
    staff.presses("form.identify [type=submit]")
    staff.find("#import-progress")
    staff.keeps_a_picture()
    staff.sees_no_sideways_scroll()
    # without a reload
    staff.find("#import-progress .verdict.complete", seconds=60)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#import-results .verdict.enrolled")) == 3
    assert len(browser.find_elements(By.CSS_SELECTOR, "#import-results .verdict.rejected")) == 1
    staff.keeps_a_picture()
    staff.sees_no_sideways_scroll()
    staff.opens("/admin/people/importjob/")
    staff.sees_no_sideways_scroll()
    assert staff.identifies(samples / "obama3.jpg", collection) == ["Face 1: Barack Obama"]


def test_staff_merge_a_possible_duplicate_and_undo_it(
    browser: webdriver.Chrome, service: Service, samples: Path
) -> None:
    staff = Staff(browser, service)
    collection = f"doubles-{browser.get_window_size()['width']}"
    staff.logs_in()
    staff.opens("/admin/people/collection/add/")
    staff.fills("name", collection)
    staff.fills("erase_unseen_after_days", "365")
    staff.presses("[name=_continue]")
    staff.find(".messagelist .success")
    staff.keeps_a_picture(".field-due_now")
    staff.sees_no_sideways_scroll()
    staff.enrols("Barack Obama", collection, samples / "obama.jpg")
    staff.enrols("B. Obama", collection, samples / "obama2.jpg", samples / "obama3.jpg")
    staff.keeps_a_picture("a.merge-link")

    staff.presses("a.merge-link")
    staff.find("form.merge")
    staff.keeps_a_picture()
    staff.sees_no_sideways_scroll()
    assert len(browser.find_elements(By.CSS_SELECTOR, "form.merge img.face")) == 3
    staff.keeps_a_picture("form.merge [type=submit]")
    staff.presses("form.merge .card:last-of-type [name=kept]")
    staff.presses("form.merge [type=submit]")
    staff.find(".messagelist .success")
    staff.keeps_a_picture()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#photos .verdict.accepted")) == 3
    assert not browser.find_elements(By.CSS_SELECTOR, "a.merge-link")
    assert staff.identifies(samples / "obama2.jpg", collection) == ["Face 1: Barack Obama"]

    staff.opens("/admin/people/person/?status=merged")
    browser.find_element(By.LINK_TEXT, "B. Obama").click()
    staff.find("p.warnings")
    staff.keeps_a_picture()
    staff.sees_no_sideways_scroll()
    staff.opens("/admin/people/merge/")
    staff.presses("#result_list [formaction]")
    staff.find(".messagelist .success")
    staff.keeps_a_picture()
    assert staff.identifies(samples / "obama2.jpg", collection) == ["Face 1: B. Obama"]
    staff.opens("/admin/people/collection/")
    browser.find_element(By.LINK_TEXT, collection).click()
    service.sql("UPDATE people_person SET last_interaction_at = '2020-01-01 00:00:00'")
    staff.presses(".field-due_now a")
    assert staff.find("#content strong").text == "2 people are due."
    staff.keeps_a_picture()
    staff.sees_no_sideways_scroll()


def test_a_new_api_key_is_shown_once_and_opens_the_api(browser: webdriver.Chrome, service: Service) -> None:
    staff = Staff(browser, service)
    staff.logs_in()
    staff.opens("/admin/people/apikey/add/")
    staff.fills("label", "door")
    staff.presses("form.identify [type=submit]")
    staff.keeps_a_picture()
    if not browser.find_elements(By.CSS_SELECTOR, "input.key"):
        staff.presses("[name=scopes][value=detect]")
        staff.presses("form.identify [type=submit]")
    key = staff.find("input.key").get_attribute("value")
    staff.keeps_a_picture()
    answer = requests.get(
        f"{service.url}/api/v1/engine/", headers={"Authorization": f"Bearer {key}"}, timeout=10
    )
    assert answer.status_code == 200
    staff.opens("/admin/people/apikey/")
    assert str(key) not in browser.page_source
    staff.opens("/admin/people/auditevent/")
    assert "api_key.issued" in browser.page_source
