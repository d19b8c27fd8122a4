"""Clients that send requests continuously until the service refuses connections."""

from __future__ import annotations

import threading
from collections.abc import Callable

import requests


class Load:
    """Clients that each send one photo repeatedly. All of them stop at the first refused connection.

    A refused connection is no fault: a load balancer would try another task. A broken one is, because the
    load balancer would pass the error on to the client.

    `answered` holds the status of each response, `broken` the error of each broken connection.
    """

    def __init__(self, url: str, headers: dict[str, str], photos: list[bytes]) -> None:
        self.answered: list[int] = []
        self.broken: list[requests.RequestException] = []
        self._done = threading.Event()
        self._clients = [threading.Thread(target=self._run, args=(url, headers, photo)) for photo in photos]

    def start(self) -> None:
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Stop the clients while the service is still running."""
        self._done.set()
        self.join()

    def join(self) -> None:
        for client in self._clients:
            client.join()

    def _run(self, url: str, headers: dict[str, str], photo: bytes) -> None:
        while not self._done.is_set():
            try:
                response = requests.post(url, files={"photo": photo}, headers=headers, timeout=60)
            except requests.ConnectionError as error:
                if "refused" in str(error):
                    self._done.set()
                else:
                    self.broken.append(error)
            else:
                self.answered.append(response.status_code)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition is true. Raises AssertionError if it isn't within `seconds`."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < seconds, f"not within {seconds} seconds"
        pause.wait(0.05)
        waited += 0.05
