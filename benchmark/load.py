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
    """Posts `photo` to `url` as a multipart file. Speaks plain HTTP: the server is the benchmark's own."""

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

        Without `rate`, each connection sends its next request when the previous one is answered, and waits as
        long as a Retry-After asks for. With it, `rate` requests a second become due at regular intervals,
        even if earlier ones are still unanswered. The time of a request counts from when it was due, so it
        includes the wait for earlier ones.
        Raises BenchmarkError if the service stops answering, or answers no request with 200.
        """
        answers, schedule = _Answers(), _Schedule(seconds, rate)
        started = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            senders = [pool.submit(self._send, schedule, answers) for _ in range(connections)]
        for sender in senders:
            sender.result()
        return answers.timing(time.perf_counter() - started)

    def _send(self, schedule: _Schedule, answers: _Answers) -> None:
        try:
            with closing(http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)) as connection:
                while (due := schedule.next_due()) is not None:
                    time.sleep(max(due - time.perf_counter(), 0))
                    connection.request("POST", self._path, self._body, self._headers)
                    response = connection.getresponse()
                    response.read()
                    if schedule.rate is None and (pause := response.headers["Retry-After"]):
                        time.sleep(float(pause))
                    answers.add(response.status, time.perf_counter() - due)
        except (OSError, http.client.HTTPException) as error:
            schedule.stop()  # the other connections would continue until the end
            raise BenchmarkError(f"The service stopped answering: {error!r}") from error


class _Schedule:
    """When the next request is due, for all connections together."""

    def __init__(self, seconds: float, rate: float | None) -> None:
        self.rate = rate
        self._start = time.perf_counter()
        self._end = self._start + seconds
        self._numbers = count()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def next_due(self) -> float | None:
        """Return when to send the next request, on time.perf_counter's clock. None: send no more."""
        with self._lock:
            number = next(self._numbers)
        due = time.perf_counter() if self.rate is None else self._start + number / self.rate
        return None if due > self._end or self._stopped.is_set() else due

    def stop(self) -> None:
        self._stopped.set()


class _Answers:
    """What all connections together received."""

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
            raise BenchmarkError(f"No request was answered with 200. The answers: {dict(self._statuses)}.")
        percentiles = summary(self._seconds, per_second=len(self._seconds) / elapsed)
        statuses = {str(status): number for status, number in self._statuses.items()}
        return LoadTiming(**asdict(percentiles), statuses=statuses)
