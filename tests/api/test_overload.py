"""Requests beyond capacity are refused immediately with Retry-After, at almost no cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from people import capacity, identification
from people.errors import Overloaded
from people.models import AuditEvent, Collection, Person
from tests import fakes
from tests.actors import STAFF
from tests.api.program import Program

Enrol = Callable[..., Person]
PATHS = ["/api/v1/collections/default/identify/", "/api/v1/detect/"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take every slot, as requests in progress would."""
    probing = capacity.Capacity(1)
    monkeypatch.setattr(capacity, "probe_capacity", probing)
    with probing.slot():
        yield


@pytest.mark.parametrize("path", PATHS)
def test_a_photo_beyond_capacity_is_refused_with_retry_after(
    full: None, api: Program, collection: Collection, path: str
) -> None:
    response = api.send_photo(path, fakes.photo(1))
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "overloaded"
    assert not AuditEvent.objects.filter(action__startswith="photo").exists()


def test_the_refusal_makes_no_database_query(
    full: None, api: Program, django_assert_num_queries: Callable[..., ExitStack]
) -> None:
    with django_assert_num_queries(0):
        api.send_photo(PATHS[0], fakes.photo(1))


def test_requests_without_a_photo_are_served(full: None, api: Program, collection: Collection) -> None:
    assert api.get("/api/v1/collections/").status_code == 200
    assert Client().get("/health").status_code == 200


def test_enrolment_continues(full: None, enrolled: Enrol) -> None:
    assert enrolled(1).photos.get().status == "accepted"


def test_a_slot_is_released_when_the_photo_is_rejected(
    monkeypatch: pytest.MonkeyPatch, api: Program, collection: Collection
) -> None:
    monkeypatch.setattr(capacity, "probe_capacity", capacity.Capacity(1))
    for _ in range(3):
        assert api.send_photo(PATHS[0], b"no photo").status_code == 415
    assert api.send_photo(PATHS[0], fakes.photo(1)).status_code == 200


def test_a_request_that_passed_the_check_is_refused_if_no_slot_is_left(
    full: None, collection: Collection
) -> None:
    with pytest.raises(Overloaded):
        identification.identify(fakes.photo(1), collection=collection, actor=STAFF)


def test_photos_are_processed_one_at_a_time() -> None:
    probing, began = capacity.Capacity(2), Event()

    def process() -> None:
        with probing.slot():
            began.set()

    with ThreadPoolExecutor(1) as executor:
        with probing.slot():
            work = executor.submit(process)
            while not _all_taken(probing):
                time.sleep(0.001)
            assert not began.wait(0.05)
        work.result()
    assert began.is_set()


def _all_taken(probing: capacity.Capacity) -> bool:
    try:
        probing.check()
    except Overloaded:
        return True
    return False


@pytest.mark.parametrize("key", ["", "frk_00000000_nothing"])
def test_the_body_of_a_refused_request_is_drained(collection: Collection, key: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {key}"} if key else {})
    response = client.post(PATHS[0], {"photo": SimpleUploadedFile("photo.jpg", fakes.photo(1))})
    assert response.status_code == 401
    assert response.wsgi_request.read() == b""
