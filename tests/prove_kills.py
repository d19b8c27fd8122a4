"""Kill -9 of web and worker processes while people are enrolled and erased: nothing lost, nothing back.

    python -m tests.prove_kills --kills 200 --seed 1                      (SQLite)
    python -m tests.postgresql python -m tests.prove_kills --kills 200    (PostgreSQL, and Redis)

Clients create people, enrol and erase them and keep a diary of what was acknowledged. Meanwhile
processes are killed at random. After the last kill and a sweep the diary, the database, the files
and every search must agree.
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
"""The lease of a killed worker's work, and some sweeps."""


@dataclass
class Diary:
    """What a client knows of one person."""

    seed: int
    enrolled: bool = False
    """Acknowledged with 201."""
    erasing: bool = False
    erased: bool = False
    """Acknowledged with 202, or 404 after an unanswered try."""


@dataclass
class Outcome:
    kills: int = 0
    people: int = 0
    enrolments: int = 0
    erasures: int = 0
    problems: list[str] = field(default_factory=list)


def prove(folder: Path, *, kills: int, seed: int, pause: tuple[float, float] = (0.5, 2.5)) -> Outcome:
    """Run the service in `folder`, kill its processes `kills` times, and say what is wrong afterwards."""
    outcome = Outcome()
    draw = random.Random(seed)
    with ExitStack() as stack:
        variables = {"FACEREC_TEST_FAKE_ENGINE": "1"}
        if os.environ.get("DATABASE_URL") and REDIS:
            # as in production: a pool of child processes, which the folder's broker can't have
            variables["CELERY_BROKER_URL"] = stack.enter_context(redis_server()).url
        service = stack.enter_context(running(folder, **variables))
        service.sql("UPDATE people_apikey SET rate = '1000000/min'")
        requests.post(
            f"{service.url}/api/v1/collections/", json={"name": "crowd"}, headers=service.headers, timeout=30
        ).raise_for_status()
        stop = threading.Event()
        diaries: list[list[Diary]] = [[] for _ in range(CLIENTS)]
        clients = [
            threading.Thread(target=_live, args=(service, number, diaries[number], stop, seed))
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
        if left := service.wait_until_done(SETTLE_SECONDS):
            outcome.problems.append(f"{left} entries of the outbox are not done")
        _check(service, [diary for own in diaries for diary in own], outcome)
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
    service.start(name)  # which kills the one before with all its children


def _live(service: Service, number: int, diary: list[Diary], stop: threading.Event, seed: int) -> None:
    draw = random.Random(f"{seed}/{number}")
    session = requests.Session()
    session.headers.update(service.headers)
    persons = f"{service.url}/api/v1/collections/crowd/persons/"
    while not stop.is_set():
        one = Diary(seed=100_000 * (number + 1) + len(diary))
        diary.append(one)
        person_id = _until_known(stop, lambda one=one: _create(session, persons, one))
        if person_id is None:
            continue
        photo = {"photo": fakes.photo(one.seed)}
        answer = _until_known(
            stop,
            lambda person_id=person_id, photo=photo: session.post(
                f"{persons}{person_id}/photos/", files=photo, headers={"Prefer": "wait=2"}, timeout=40
            ),
        )
        one.enrolled = answer is not None and answer.status_code in (200, 201, 202)
        if draw.random() < 0.4:
            one.erasing = True
            gone = _until_known(
                stop, lambda person_id=person_id: session.delete(f"{persons}{person_id}/", timeout=40)
            )
            one.erased = gone is not None and gone.status_code in (202, 404)


def _create(session: requests.Session, persons: str, one: Diary) -> str | None:
    answer = session.post(persons, json={"external_id": f"p{one.seed}"}, timeout=40)
    if answer.status_code == 409:  # an earlier try was done and not answered
        found = session.get(persons, params={"external_id": f"p{one.seed}"}, timeout=40)
        found.raise_for_status()
        return str(found.json()["results"][0]["id"])
    answer.raise_for_status()
    return str(answer.json()["id"])


def _until_known(stop: threading.Event, work: Any) -> Any:
    """Try until there is an answer that says something; None when the run ends before."""
    while not stop.is_set():
        try:
            answer = work()
            if not isinstance(answer, requests.Response) or answer.status_code < 500:
                return answer
        except requests.RequestException:
            pass
        time.sleep(0.1)
    return None


def _check(service: Service, diaries: list[Diary], outcome: Outcome) -> None:
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
            problem(f"{external}: a photo is {status} with {templates} templates")
    for external, own in by_person.items():
        if len(own) > 1:
            problem(f"{external}: enrolled {len(own)} times")
        if external not in means:
            problem(f"{external}: no mean template")
    if extra := means - set(by_person):
        problem(f"means without photos: {extra}")
    session = requests.Session()
    session.headers.update(service.headers)
    for one in diaries:
        external = f"p{one.seed}"
        there = external in people
        if one.enrolled and not one.erasing and len(by_person.get(external, [])) != 1:
            problem(f"{external}: an acknowledged enrolment is lost")
        if one.erased and there:
            problem(f"{external}: an erased person is back")
        found = session.post(
            f"{service.url}/api/v1/collections/crowd/identify/",
            files={"photo": fakes.photo(one.seed, variation=9)},
            timeout=30,
        ).json()["faces"][0]["candidates"]
        names = [candidate["person"]["external_id"] for candidate in found]
        # a stranger may look like somebody: one search in a hundred, by the default threshold
        if (external in by_person) != (names[:1] == [external]):
            problem(f"{external}: a search finds {names}")
    folder = service.folder / "photos"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    rows = {file for _, _, file, _ in photos}
    if files != rows:
        problem(f"{len(files - rows)} files without a row, {len(rows - files)} rows without a file")
    pending = service.sql("SELECT count(*) FROM people_erasure WHERE completed_at IS NULL")[0][0]
    if pending:
        problem(f"{pending} receipts are not complete")
    outcome.people = len(diaries)
    outcome.enrolments = sum(one.enrolled for one in diaries)
    outcome.erasures = sum(one.erased for one in diaries)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="facerec-kills-") as folder:
        outcome = prove(Path(folder), kills=chosen.kills, seed=chosen.seed)
    print(
        f"{outcome.kills} kills, seed {chosen.seed}: {outcome.people} people, {outcome.enrolments} enrolments"
        f" and {outcome.erasures} erasures acknowledged, {len(outcome.problems)} problems."
    )
    for line in outcome.problems[:50]:
        print("  " + line)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
