"""Kill web and worker processes (SIGKILL) during enrolments and erasures: no data is lost or restored.

    python -m tests.prove_kills --kills 200 --seed 1                      (SQLite)
    python -m tests.postgresql python -m tests.prove_kills --kills 200    (PostgreSQL, and Redis)

Clients create, enrol and erase people and record what was acknowledged, while processes are killed at
random. After the last kill and a sweep, the clients' records, the database, the files and every search must
agree.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from tests import fakes
from tests.servers import REDIS, redis_server
from tests.service import Service, running

CLIENTS = 4
SETTLE_SECONDS = 240
"""Covers the lease of a killed worker's outbox entry, and some sweeps."""


@dataclass
class KnownPerson:
    """What a client knows about one person, from the responses it has received."""

    seed: int
    enrolled: bool = False
    """Acknowledged with 201."""
    erasing: bool = False
    erased: bool = False
    """Acknowledged with 202, or with 404 after an attempt without a response."""


@dataclass
class Outcome:
    kills: int = 0
    people: int = 0
    enrolments: int = 0
    erasures: int = 0
    problems: list[str] = field(default_factory=list)


def prove(folder: Path, *, kills: int, seed: int, pause: tuple[float, float] = (0.5, 2.5)) -> Outcome:
    """Run the service in `folder`, kill its processes `kills` times, and return counts and problems."""
    outcome = Outcome()
    draw = random.Random(seed)
    with ExitStack() as stack:
        variables = {"FACEREC_TEST_FAKE_ENGINE": "1"}
        if os.environ.get("DATABASE_URL") and REDIS:
            # as in production: a pool of worker processes, which the folder's broker doesn't support
            variables["CELERY_BROKER_URL"] = stack.enter_context(redis_server()).url
        service = stack.enter_context(running(folder, **variables))
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")
        requests.post(
            f"{service.url}/api/v1/collections/", json={"name": "crowd"}, headers=service.headers, timeout=30
        ).raise_for_status()
        stop = threading.Event()
        known_by_client: list[list[KnownPerson]] = [[] for _ in range(CLIENTS)]
        clients = [
            threading.Thread(target=_run_client, args=(service, number, known_by_client[number], stop, seed))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            for _ in range(kills):
                time.sleep(draw.uniform(*pause))
                service.supervise()
                _kill_one(service, draw)
                outcome.kills += 1
        finally:
            stop.set()
            for client in clients:
                client.join()
        service.supervise()
        service.wait_until_ready()
        if pending := service.wait_until_done(SETTLE_SECONDS):
            outcome.problems.append(f"{pending} outbox entries are still pending")
        _check(service, [person for known_people in known_by_client for person in known_people], outcome)
    return outcome


def _kill_one(service: Service, draw: random.Random) -> None:
    name = draw.choice(("web", "worker"))
    process = service.processes[name]
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    if children and draw.random() < 0.6:
        victim = draw.choice(children)
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            return
        return
    service.start(name)  # kills the previous process and all its children


def _run_client(
    service: Service, number: int, known_people: list[KnownPerson], stop: threading.Event, seed: int
) -> None:
    """Create and enrol people until `stop` is set, and erase some of them."""
    draw = random.Random(f"{seed}/{number}")
    session = requests.Session()
    session.headers.update(service.headers)
    persons = f"{service.url}/api/v1/collections/crowd/persons/"
    while not stop.is_set():
        known = KnownPerson(seed=100_000 * (number + 1) + len(known_people))
        known_people.append(known)
        person_id = _retry(stop, lambda known=known: _create(session, persons, known))
        if person_id is None:
            continue
        photo = {"photo": fakes.photo(known.seed)}
        response = _retry(
            stop,
            lambda person_id=person_id, photo=photo: session.post(
                f"{persons}{person_id}/photos/", files=photo, headers={"Prefer": "wait=2"}, timeout=40
            ),
        )
        known.enrolled = response is not None and response.status_code in (200, 201, 202)
        if draw.random() < 0.4:
            known.erasing = True
            response = _retry(
                stop, lambda person_id=person_id: session.delete(f"{persons}{person_id}/", timeout=40)
            )
            known.erased = response is not None and response.status_code in (202, 404)


def _create(session: requests.Session, persons: str, known: KnownPerson) -> str | None:
    response = session.post(persons, json={"external_id": f"p{known.seed}"}, timeout=40)
    if response.status_code == 409:  # an earlier attempt succeeded, but its response was lost
        listing = session.get(persons, params={"external_id": f"p{known.seed}"}, timeout=40)
        listing.raise_for_status()
        return str(listing.json()["results"][0]["id"])
    response.raise_for_status()
    return str(response.json()["id"])


def _retry(stop: threading.Event, request: Any) -> Any:
    """Repeat `request` until its result isn't a server error. Returns None if `stop` is set first."""
    while not stop.is_set():
        try:
            result = request()
            if not isinstance(result, requests.Response) or result.status_code < 500:
                return result
        except requests.RequestException:
            pass
        time.sleep(0.1)
    return None


def _check(service: Service, known_people: list[KnownPerson], outcome: Outcome) -> None:
    """Compare the clients' knowledge with the database, the files and the searches."""
    problem = outcome.problems.append
    people = {external: pk for pk, external in service.sql("SELECT id, external_id FROM people_person")}
    photos = service.sql(
        "SELECT p.external_id, f.status, f.file,"
        " (SELECT count(*) FROM people_template t WHERE t.photo_id = f.id)"
        " FROM people_photo f JOIN people_person p ON p.id = f.person_id"
    )
    means = {row[0] for row in service.sql(
        "SELECT p.external_id FROM people_meantemplate m JOIN people_person p ON p.id = m.person_id"
    )}  # fmt: skip
    by_person: dict[str, list[tuple[str, str, int]]] = {}
    for external, status, file, templates in photos:
        by_person.setdefault(external, []).append((status, file, templates))
        if (status, templates) != ("accepted", 1):
            problem(f"{external}: a photo has status {status} and {templates} templates")
    for external, person_photos in by_person.items():
        if len(person_photos) > 1:
            problem(f"{external}: enrolled {len(person_photos)} times")
        if external not in means:
            problem(f"{external}: no mean template")
    if extra := means - set(by_person):
        problem(f"mean templates without photos: {extra}")
    session = requests.Session()
    session.headers.update(service.headers)
    for known in known_people:
        external = f"p{known.seed}"
        if known.enrolled and not known.erasing and len(by_person.get(external, [])) != 1:
            problem(f"{external}: an acknowledged enrolment is lost")
        if known.erased and external in people:
            problem(f"{external}: an erased person was restored")
        candidates = session.post(
            f"{service.url}/api/v1/collections/crowd/identify/",
            files={"photo": fakes.photo(known.seed, variation=9)},
            timeout=30,
        ).json()["faces"][0]["candidates"]
        names = [candidate["person"]["external_id"] for candidate in candidates]
        # with the default threshold, one in a hundred searches for a stranger returns a match
        if (external in by_person) != (names[:1] == [external]):
            problem(f"{external}: a search returns {names}")
    folder = service.folder / "photos"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    rows = {file for _, _, file, _ in photos}
    if files != rows:
        problem(f"{len(files - rows)} files without a row, {len(rows - files)} rows without a file")
    pending = service.sql("SELECT count(*) FROM people_erasure WHERE completed_at IS NULL")[0][0]
    if pending:
        problem(f"{pending} erasure receipts are incomplete")
    outcome.people = len(known_people)
    outcome.enrolments = sum(known.enrolled for known in known_people)
    outcome.erasures = sum(known.erased for known in known_people)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facerec-kills-") as folder:
        outcome = prove(Path(folder), kills=options.kills, seed=options.seed)
    print(
        f"{outcome.kills} kills, seed {options.seed}: {outcome.people} people, {outcome.enrolments} "
        f"enrolments and {outcome.erasures} erasures acknowledged, {len(outcome.problems)} problems."
    )
    for line in outcome.problems[:50]:
        print("  " + line)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
