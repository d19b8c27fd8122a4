"""Two web workers and a Celery worker on one SQLite file: each sees the others' changes immediately."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from people.engines import get_engine
from people.extraction import Purpose, from_photo
from people.faces import Vectors
from tests import fakes
from tests.service import Service, running

CLIENTS = 6
ENROLMENTS = 100
ERASURES = 25


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    home = folder / "home"
    home.mkdir()
    with running(folder, FACEREC_TEST_FAKE_ENGINE="1", HOME=str(home), XDG_RUNTIME_DIR=str(home)) as service:
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")
        yield service


def test_the_service_writes_nothing_to_the_home_folder_which_may_be_read_only(service: Service) -> None:
    assert list((service.folder / "home").iterdir()) == []


def _search(session: requests.Session, service: Service, seed: int) -> dict[str, Any]:
    response = session.post(
        f"{service.url}/api/v1/collections/crowd/identify/",
        files={"photo": fakes.photo(seed, variation=99)},
        timeout=30,
    )
    assert response.status_code == 200, response.text
    face: dict[str, Any] = response.json()["faces"][0]
    return face


def _enrol_and_erase(service: Service, seeds: list[int], erased: set[int]) -> None:
    """Enrol each of `seeds` and erase those in `erased`; searches must return the right result at once."""
    session = requests.Session()
    session.headers.update(service.headers)
    persons = f"{service.url}/api/v1/collections/crowd/persons/"
    for seed in seeds:
        assert _search(session, service, seed)["decision"] == "no_match"
        person = session.post(persons, json={"external_id": f"p{seed}"}, timeout=30)
        assert person.status_code == 201, person.text
        person_id = person.json()["id"]
        photo = session.post(
            f"{persons}{person_id}/photos/",
            files={"photo": fakes.photo(seed)},
            headers={"Prefer": "wait=30"},
            timeout=60,
        )
        assert photo.status_code == 201, photo.text
        for _ in range(3):  # either web worker may process the request
            face = _search(session, service, seed)
            assert face["decision"] == "match", face
            assert face["candidates"][0]["person"]["id"] == person_id
        if seed in erased:
            assert session.delete(f"{persons}{person_id}/", timeout=30).status_code == 202
            for _ in range(3):
                face = _search(session, service, seed)
                assert face["decision"] == "no_match", face
            assert session.get(f"{persons}{person_id}/", timeout=30).status_code == 404


def _strangers(count: int) -> list[int]:
    """Return seeds of people who never match each other: a false match would look like a stale result."""
    engine, threshold = get_engine(), 0.4  # below every threshold of a search
    seeds: list[int] = []
    references: list[Vectors] = []
    for seed in itertools.count(1000):
        photos = fakes.photo(seed), fakes.photo(seed, variation=99)
        vectors = [from_photo(data, engine, purpose=Purpose.REFERENCE).vectors[0] for data in photos]
        if all(abs(float(vector @ reference)) < threshold for vector in vectors for reference in references):
            seeds.append(seed)
            references += vectors
        if len(seeds) == count:
            break
    return seeds


def test_every_process_sees_every_enrolment_and_erasure_immediately(service: Service) -> None:
    created = requests.post(
        f"{service.url}/api/v1/collections/", json={"name": "crowd"}, headers=service.headers, timeout=30
    )
    assert created.status_code == 201, created.text
    seeds = _strangers(ENROLMENTS)
    draw = random.Random(7)
    erased = set(draw.sample(seeds, ERASURES))
    draw.shuffle(seeds)
    with ThreadPoolExecutor(CLIENTS) as pool:
        futures = [
            pool.submit(_enrol_and_erase, service, seeds[start::CLIENTS], erased) for start in range(CLIENTS)
        ]
        for future in futures:
            future.result()

    enrolled = set(seeds) - erased
    session = requests.Session()
    session.headers.update(service.headers)
    for seed in draw.sample(seeds, 40):
        assert _search(session, service, seed)["decision"] == ("match" if seed in enrolled else "no_match")
    _assert_files_match_rows(service)


def _assert_files_match_rows(service: Service) -> None:
    rows = {row[0] for row in service.sql("SELECT file FROM people_photo")}
    templates = service.sql("SELECT count(*) FROM people_template")[0][0]
    pending = service.sql("SELECT count(*) FROM people_outboxentry WHERE done_at IS NULL")[0][0]
    photos = service.folder / "photos"
    files = {str(path.relative_to(photos)) for path in photos.rglob("*.jpg")}
    assert (len(rows), templates, pending) == (ENROLMENTS - ERASURES, ENROLMENTS - ERASURES, 0)
    assert files == rows
