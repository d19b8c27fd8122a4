"""The data that the service has before schemathesis calls it, so that its calls find existing rows."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests import fakes
from tests.importing import zipped
from tests.service import Service

PEOPLE = 60
MERGED = 10
ERASED = 5


def fill(service: Service) -> list[list[dict[str, str]]]:
    """Import, merge and erase people; return the path parameters of everything that exists."""
    session = requests.Session()
    session.headers.update(service.headers)
    root = f"{service.url}/api/v1/collections/default/"
    deadline = time.monotonic() + 120

    def call(method: str, url: str, **options: Any) -> Any:
        response = session.request(method, url, timeout=60, **options)
        assert response.ok, response.text
        return response.json()

    archive = zipped({f"{seed}/{variation}.png": fakes.photo(seed, variation=variation)
                      for seed in range(100, 100 + PEOPLE) for variation in (0, 1)})  # fmt: skip
    call("POST", f"{service.url}/api/v1/collections/", json={"name": "default"})
    jobs = [call("POST", f"{root}imports/", files={"archive": ("people.zip", archive)})]
    while call("GET", f"{root}imports/{jobs[0]['id']}/")["state"] != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for _ in range(4):
        small = zipped({"100/0.png": fakes.photo(100)})
        jobs.append(call("POST", f"{root}imports/", files={"archive": ("people.zip", small)}))
    items = call("GET", f"{root}imports/{jobs[0]['id']}/items/?page_size=200")["results"]
    people = list(dict.fromkeys(item["person"] for item in items))
    erased, merged, remaining = (
        people[:ERASED],
        people[ERASED : ERASED + 2 * MERGED],
        people[ERASED + 2 * MERGED :],
    )
    erasures = [call("DELETE", f"{root}persons/{person}/") for person in erased]
    merges = [
        call("POST", f"{root}persons/{kept}/merge/", json={"other": other})
        for kept, other in zip(merged[::2], merged[1::2], strict=True)
    ]
    service.wait_until_done(60)
    # so that they can be cancelled: no worker runs them
    service.sql("UPDATE people_importjob SET state = 'pending', finished_at = NULL, counts = NULL")
    photos = [item for item in items if item["person"] in remaining]
    return [
        [{"collection": "default", "job": job["id"]} for job in jobs],
        [{"merge": merge["id"]} for merge in merges],
        [{"erasure": erasure["id"]} for erasure in erasures],
        [{"collection": "default", "person": item["person"], "photo": item["photo"]} for item in photos],
    ]
