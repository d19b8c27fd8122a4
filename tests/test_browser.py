"""Staff's main tasks in a real browser, with real faces and real processes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.browser import Staff, chromium
from tests.service import Service, running

pytestmark = [pytest.mark.browser, pytest.mark.once]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(params=[1280, 360])
def browser(request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    with chromium(request.param) as driver:
        yield driver


def assert_no_sideways_scroll(driver: webdriver.Chrome) -> None:
    overflow = driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 1


def enrol(staff: Staff, name: str, collection: str, *photos: Path) -> None:
    staff.enrol(name, collection, *photos)
    boxes = staff.driver.find_elements(By.CSS_SELECTOR, "#photos .mark.good rect")
    assert len(boxes) == len(photos)


def test_staff_enrol_identify_and_erase_people(
    browser: webdriver.Chrome, service: Service, samples: Path
) -> None:
    staff = Staff(browser, service)
    collection = f"office-{browser.get_window_size()['width']}"
    staff.log_in()
    staff.create_collection(collection)

    enrol(staff, "Barack Obama", collection, samples / "obama.jpg", samples / "obama2.jpg")
    assert_no_sideways_scroll(browser)
    enrol(staff, "Joe Biden", collection, samples / "biden.jpg")
    staff.open("/admin/people/person/")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#result_list img.face")) >= 2

    assert staff.identify(samples / "obama3.jpg", collection) == ["Face 1: Barack Obama"]
    assert_no_sideways_scroll(browser)
    label = staff.find(".result .mark.good text").get_attribute("textContent")
    assert label is not None
    assert label.startswith("Barack Obama ")
    # the box is on the face: in the upper part of the portrait, and inside the photo
    box = staff.find(".result .mark.good rect")
    left, top, width, height = (float(box.get_attribute(name) or 0) for name in ("x", "y", "width", "height"))
    assert 300 < left + width / 2 < 1100
    assert 100 < top + height / 2 < 900

    assert staff.identify(samples / "astronaut.png", collection) == ["Face 1: No match in this collection"]

    staff.open("/admin/people/person/?q=Obama")
    browser.find_element(By.LINK_TEXT, "Barack Obama").click()
    staff.click(".deletelink")
    staff.find("#content form [type=submit]")
    staff.take_screenshot()
    staff.click("#content form [type=submit]")
    staff.find(".messagelist .info")
    staff.take_screenshot()
    assert staff.identify(samples / "obama3.jpg", collection) == ["Face 1: No match in this collection"]


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
    staff.log_in()
    staff.create_collection(collection)
    staff.open("/admin/people/importjob/add/")
    assert_no_sideways_scroll(browser)
    staff.fill("archive", str(archive))
    staff.select("collection", collection)
    staff.click("form.identify [type=submit]")
    staff.find("#import-progress")
    staff.take_screenshot()
    assert_no_sideways_scroll(browser)
    # without a reload
    staff.find("#import-progress .verdict.complete", seconds=60)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#import-results .verdict.enrolled")) == 3
    assert len(browser.find_elements(By.CSS_SELECTOR, "#import-results .verdict.rejected")) == 1
    staff.take_screenshot()
    assert_no_sideways_scroll(browser)
    staff.open("/admin/people/importjob/")
    assert_no_sideways_scroll(browser)
    assert staff.identify(samples / "obama3.jpg", collection) == ["Face 1: Barack Obama"]


def test_staff_merge_a_possible_duplicate_and_undo_it(
    browser: webdriver.Chrome, service: Service, samples: Path
) -> None:
    staff = Staff(browser, service)
    collection = f"duplicates-{browser.get_window_size()['width']}"
    staff.log_in()
    staff.open("/admin/people/collection/add/")
    staff.fill("name", collection)
    staff.fill("erase_unseen_after_days", "365")
    staff.click("[name=_continue]")
    staff.find(".messagelist .success")
    staff.take_screenshot(".field-due_now")
    assert_no_sideways_scroll(browser)
    enrol(staff, "Barack Obama", collection, samples / "obama.jpg")
    enrol(staff, "B. Obama", collection, samples / "obama2.jpg", samples / "obama3.jpg")
    staff.take_screenshot("a.merge-link")

    staff.click("a.merge-link")
    staff.find("form.merge")
    staff.take_screenshot()
    assert_no_sideways_scroll(browser)
    assert len(browser.find_elements(By.CSS_SELECTOR, "form.merge img.face")) == 3
    staff.take_screenshot("form.merge [type=submit]")
    staff.click("form.merge .card:last-of-type [name=kept]")
    staff.click("form.merge [type=submit]")
    staff.find(".messagelist .success")
    staff.take_screenshot()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#photos .verdict.accepted")) == 3
    assert not browser.find_elements(By.CSS_SELECTOR, "a.merge-link")
    assert staff.identify(samples / "obama2.jpg", collection) == ["Face 1: Barack Obama"]

    staff.open("/admin/people/person/?status=merged")
    browser.find_element(By.LINK_TEXT, "B. Obama").click()
    staff.find("p.warnings")
    staff.take_screenshot()
    assert_no_sideways_scroll(browser)
    staff.open("/admin/people/merge/")
    staff.click("#result_list [formaction]")
    staff.find(".messagelist .success")
    staff.take_screenshot()
    assert staff.identify(samples / "obama2.jpg", collection) == ["Face 1: B. Obama"]
    staff.open("/admin/people/collection/")
    browser.find_element(By.LINK_TEXT, collection).click()
    service.sql("UPDATE people_person SET last_interaction_at = '2020-01-01 00:00:00'")
    staff.click(".field-due_now a")
    assert staff.find("#content strong").text == "2 people are due for erasure."
    staff.take_screenshot()
    assert_no_sideways_scroll(browser)


def test_a_new_api_key_is_shown_once_and_gives_access_to_the_api(
    browser: webdriver.Chrome, service: Service
) -> None:
    staff = Staff(browser, service)
    staff.log_in()
    staff.open("/admin/people/apikey/add/")
    staff.fill("label", "door")
    staff.click("form.identify [type=submit]")
    staff.take_screenshot()
    if not browser.find_elements(By.CSS_SELECTOR, "input.key"):
        staff.click("[name=scopes][value=detect]")
        staff.click("form.identify [type=submit]")
    key = staff.find("input.key").get_attribute("value")
    staff.take_screenshot()
    response = requests.get(
        f"{service.url}/api/v1/engine/", headers={"Authorization": f"Bearer {key}"}, timeout=10
    )
    assert response.status_code == 200
    staff.open("/admin/people/apikey/")
    assert str(key) not in browser.page_source
    staff.open("/admin/people/auditevent/")
    assert "api_key.issued" in browser.page_source
