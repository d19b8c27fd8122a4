"""What happens to requests when the service is told to stop."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
import requests

from tests import fakes
from tests.service import running

pytestmark = pytest.mark.once


def test_a_stop_under_load_breaks_no_request_off(tmp_path: Path) -> None:
    answered: list[int] = []
    broken: list[requests.RequestException] = []
    enough, refused = threading.Event(), threading.Event()
    with running(tmp_path, FACEREC_TEST_FAKE_ENGINE="1") as service:
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")

        def client(seed: int) -> None:
            while not refused.is_set():
                try:
                    answer = requests.post(
                        f"{service.url}/api/v1/collections/crowd/identify/",
                        files={"photo": fakes.photo(seed)},
                        headers=service.headers,
                        timeout=60,
                    )
                except requests.ConnectionError as error:
                    # a balancer asks another task then
                    if "refused" in str(error):
                        refused.set()
                    else:
                        broken.append(error)
                else:
                    answered.append(answer.status_code)
                    if len(answered) > 100:
                        enough.set()

        requests.post(
            f"{service.url}/api/v1/collections/", json={"name": "crowd"}, headers=service.headers, timeout=30
        )
        clients = [threading.Thread(target=client, args=(seed,)) for seed in range(12)]
        for one in clients:
            one.start()
        assert enough.wait(60)
        web = service.processes["web"]
        web.send_signal(signal.SIGTERM)
        assert web.wait(45) == 0
        for one in clients:
            one.join()
    assert broken == []
    assert set(answered) == {200}
