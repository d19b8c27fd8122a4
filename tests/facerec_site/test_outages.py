"""The database stops and starts under load: requests get a 503 meanwhile, and no data is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import requests

from tests import fakes
from tests.postgresql import postgresql_server
from tests.service import Service, running

pytestmark = [pytest.mark.once, pytest.mark.postgresql]


class Load:
    """Clients that enrol and search until they are stopped, and record the responses."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.responses: list[requests.Response] = []
        self.acknowledged: set[str] = set()
        self.stop = threading.Event()
        self.clients = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]

    def _run(self, number: int) -> None:
        base = f"{self.service.url}/api/v1/collections/crowd/"
        headers = self.service.headers
        seed = 1000 * (number + 1)
        while not self.stop.is_set():
            seed += 1
            try:
                person = requests.post(
                    f"{base}persons/",
                    json={"external_id": f"p{seed}"},
                    headers=headers,
                    timeout=60,
                )
                self.responses.append(person)
                if person.status_code != 201:
                    continue
                photo = requests.post(
                    f"{base}persons/{person.json()['id']}/photos/",
                    files={"photo": fakes.photo(seed)},
                    headers=headers,
                    timeout=60,
                )
                self.responses.append(photo)
                if photo.status_code in (201, 202):
                    self.acknowledged.add(f"p{seed}")
                search = requests.post(
                    f"{base}identify/",
                    files={"photo": fakes.photo(seed)},
                    headers=headers,
                    timeout=60,
                )
                self.responses.append(search)
            except requests.RequestException as error:
                raise AssertionError("a web process stopped together with the database") from error


@pytest.mark.timeout(400)
def test_a_restart_of_postgresql_under_load_loses_no_acknowledged_enrolment(tmp_path: Path) -> None:
    with (
        postgresql_server() as (url, server),
        running(tmp_path, FACEREC_TEST_FAKE_ENGINE="1", DATABASE_URL=url) as service,
    ):
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")
        requests.post(
            f"{service.url}/api/v1/collections/", json={"name": "crowd"}, headers=service.headers, timeout=30
        ).raise_for_status()
        load = Load(service)
        for client in load.clients:
            client.start()
        time.sleep(3)
        for _ in range(2):
            server.stop()
            time.sleep(3)
            assert requests.get(f"{service.url}/health", timeout=30).status_code == 200
            ready = requests.get(f"{service.url}/ready", timeout=60)
            assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
            page = requests.get(f"{service.url}/admin/login/", timeout=60)
            assert page.status_code in (200, 503)
            server.start()
            service.wait_until_ready()
            time.sleep(3)
        load.stop.set()
        for client in load.clients:
            client.join()

        refusals = [response for response in load.responses if response.status_code >= 500]
        assert refusals
        for refusal in refusals:
            assert refusal.status_code == 503, refusal.text
            # the embedded index reads the database as well
            assert refusal.json()["code"] in ("database_unavailable", "index_unavailable")
            assert refusal.headers["Retry-After"] == "5"
        assert service.wait_until_done(150) == 0
        enrolled = service.sql(
            "SELECT external_id FROM people_person p JOIN people_meantemplate m ON m.person_id = p.id"
        )
        assert load.acknowledged <= {row[0] for row in enrolled}
        files = {path.name for path in (tmp_path / "photos").rglob("*.jpg")}
        assert files == {row[0].rpartition("/")[2] for row in service.sql("SELECT file FROM people_photo")}
