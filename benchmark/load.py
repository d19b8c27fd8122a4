"""A client that sends one photo over many connections: as fast as possible, or at a steady rate."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from itertools import count
from urllib.parse import urlsplit

from benchmark.errors import BenchmarkError
from benchmark.results import LoadTiming
from benchmark.timing import summary

TIMEOUT_SECONDS = 60


class Client:
    """Posts `photo` to `url` as a multipart file, over plain HTTP to the benchmark's own server."""

    def __init__(self, url: str, api_key: str, photo: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, parts.path
        boundary = uuid.uuid4().hex
        self._body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode() + photo + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }

    def send(self, connections: int, seconds: float, rate: float | None = None) -> LoadTiming:
        """Send requests over `connections` connections for `seconds`.

        Without `rate`, each connection sends its next request after the response to the previous one, and
        after the pause that a Retry-After header demands. With `rate`, that many requests per second become
        due at regular intervals, even if earlier ones have no response yet. The time of a request counts from
        when it was due, so it includes the wait for earlier ones.
        Raises BenchmarkError if the service stops responding, or if no response has status 200.
        """
        responses, schedule = _Responses(), _Schedule(seconds, rate)
        started = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            senders = [pool.submit(self._send, schedule, responses) for _ in range(connections)]
        for sender in senders:
            sender.result()
        return responses.timing(time.perf_counter() - started)

    def _send(self, schedule: _Schedule, responses: _Responses) -> None:
        try:
            with closing(http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)) as connection:
                while (due := schedule.next_due()) is not None:
                    time.sleep(max(due - time.perf_counter(), 0))
                    connection.request("POST", self._path, self._body, self._headers)
                    response = connection.getresponse()
                    response.read()
                    if schedule.rate is None and (pause := response.headers["Retry-After"]):
                        time.sleep(float(pause))
                    responses.add(response.status, time.perf_counter() - due)
        except (OSError, http.client.HTTPException) as error:
            schedule.stop()  # otherwise the other connections would continue until the end
            raise BenchmarkError(f"The service stopped responding: {error!r}") from error


class _Schedule:
    """The times at which requests are due, shared by all connections."""

    def __init__(self, seconds: float, rate: float | None) -> None:
        self.rate = rate
        self._start = time.perf_counter()
        self._end = self._start + seconds
        self._numbers = count()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def next_due(self) -> float | None:
        """Return when to send the next request, on time.perf_counter's clock, or None to stop sending."""
        with self._lock:
            number = next(self._numbers)
        due = time.perf_counter() if self.rate is None else self._start + number / self.rate
        return None if due > self._end or self._stopped.is_set() else due

    def stop(self) -> None:
        self._stopped.set()


class _Responses:
    """The responses that all connections received."""

    def __init__(self) -> None:
        self._statuses: Counter[int] = Counter()
        self._seconds: list[float] = []
        self._lock = threading.Lock()

    def add(self, status: int, seconds: float) -> None:
        with self._lock:
            self._statuses[status] += 1
            if status == http.client.OK:
                self._seconds.append(seconds)

    def timing(self, elapsed: float) -> LoadTiming:
        if not self._seconds:
            raise BenchmarkError(f"No response had status 200. Responses by status: {dict(self._statuses)}.")
        percentiles = summary(self._seconds, per_second=len(self._seconds) / elapsed)
        statuses = {str(status): number for status, number in self._statuses.items()}
        return LoadTiming(**asdict(percentiles), statuses=statuses)
