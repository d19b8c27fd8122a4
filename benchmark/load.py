"""A client that sends one photo again and again: as fast as it is answered, or at a steady rate."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60


@dataclass
class Answers:
    """How many answers had each status, the seconds of those with 200, and how long it all took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers with 200 a second."""
        return self.statuses[200] / self.lasted


class Client:
    """Sends `photo` to `url` as a multipart file. It trusts the server: it is the benchmark's own."""

    def __init__(self, url: str, key: str, photo: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, parts.path
        boundary = uuid.uuid4().hex
        self._body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode() + photo + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }

    def send(self, connections: int, seconds: float, rate: float | None = None) -> Answers:
        """Send requests for so long over so many connections, and return what came of them.

        Without `rate` each connection sends its next one when it was answered, and after a Retry-After only
        when that is over. With it, `rate` a second are due, evenly, whatever became of those before; a
        request's time counts from when it was due, so that what it waits for others shows.
        Raises RuntimeError when the service stops answering.
        """
        answers, numbers, lock, failed = Answers(), count(), threading.Lock(), threading.Event()
        began = time.perf_counter()

        def work() -> None:
            connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)
            with closing(connection):
                while not failed.is_set():
                    with lock:
                        number = next(numbers)
                    due = time.perf_counter() if rate is None else began + number / rate
                    if due > began + seconds:
                        return
                    time.sleep(max(due - time.perf_counter(), 0))
                    connection.request("POST", self._path, self._body, self._headers)
                    answer = connection.getresponse()
                    answer.read()
                    if rate is None and (pause := answer.headers["Retry-After"]):
                        time.sleep(float(pause))
                    with lock:
                        answers.statuses[answer.status] += 1
                        if answer.status == http.client.OK:
                            answers.seconds.append(time.perf_counter() - due)

        def watched() -> None:
            try:
                work()
            except (OSError, http.client.HTTPException) as error:
                failed.set()  # the others would go on for as long as was asked
                raise RuntimeError(f"The service stopped answering: {error!r}") from error

        with ThreadPoolExecutor(connections) as pool:
            working = [pool.submit(watched) for _ in range(connections)]
        for one in working:
            one.result()
        answers.lasted = time.perf_counter() - began
        if not answers.seconds:
            raise RuntimeError(f"No request was answered with 200 but with {dict(answers.statuses)}.")
        return answers
