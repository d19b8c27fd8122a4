"""Clients without end, until the service refuses connections."""

from __future__ import annotations

import threading
from collections.abc import Callable

import requests


class Load:
    """Clients that send one photo each again and again, and stop at the first connection refused.

    As behind a load balancer: who is refused is sent to another task, who is broken off is not.
    """

    def __init__(self, url: str, headers: dict[str, str], photos: list[bytes]) -> None:
        self.answered: list[int] = []
        self.broken: list[requests.RequestException] = []
        self._done = threading.Event()
        self._clients = [threading.Thread(target=self._run, args=(url, headers, one)) for one in photos]

    def start(self) -> None:
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Have the clients stop although the service continues."""
        self._done.set()
        self.join()

    def join(self) -> None:
        for client in self._clients:
            client.join()

    def _run(self, url: str, headers: dict[str, str], photo: bytes) -> None:
        while not self._done.is_set():
            try:
                answer = requests.post(url, files={"photo": photo}, headers=headers, timeout=60)
            except requests.ConnectionError as error:
                if "refused" in str(error):
                    self._done.set()
                else:
                    self.broken.append(error)
            else:
                self.answered.append(answer.status_code)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it holds. Raises AssertionError when it doesn't in time."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < seconds, f"not within {seconds} seconds"
        pause.wait(0.05)
        waited += 0.05
