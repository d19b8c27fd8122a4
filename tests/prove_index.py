"""Faults of a remote index under load: every response stays correct, and the index is repaired afterwards.

    python -m tests.prove_index --operations 1000 --seed 1

For each fault of the test double, and for its lag, eight clients enrol, erase and search concurrently. A
search that starts after an enrolment was acknowledged must return the person; one that starts after an
erasure was acknowledged must not. Then the fault ends, and within a minute the index must contain exactly
the vectors in the database.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.pinecone_double import Double

CLIENTS = 8
CONVERGED_WITHIN = 60.0
"""Seconds."""
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "errors": {"errors": 0.3},
    "dropped": {"dropped": 0.3},
    "lost": {"lost": 0.3},
    "slow": {"slow": 0.1},
    "late": {"late": 0.2},
    "down": {"down": True},
    "lag": {"lag": 5.0},
    "lag, no positions": {"lag": 5.0, "reports_positions": False},
    "everything": {"errors": 0.1, "dropped": 0.1, "lost": 0.1, "slow": 0.05, "late": 0.05, "lag": 5.0},
}


@dataclass
class KnownPerson:
    """A person as known to the clients; times are from time.monotonic()."""

    seed: int
    person: Any
    enrolled_at: float
    erasing_from: float = float("inf")
    erased_at: float = float("inf")


@dataclass
class Outcome:
    fault: str
    operations: int = 0
    searches: int = 0
    degraded: int = 0
    drift: int = 0
    converged_after: float = 0.0
    problems: list[str] = field(default_factory=list)


class Run:
    """Eight clients and a worker using one collection."""

    def __init__(self, fault: str, double: Double, operations: int, seed: int) -> None:
        from people.models import Collection

        self.outcome = Outcome(fault)
        self.double = double
        self.collection = Collection.objects.create(name=f"run-{fault.replace(', ', '-').replace(' ', '-')}")
        self.people: list[KnownPerson] = []
        self.lock = threading.Lock()
        self.operations_left = operations
        self.seed = seed

    def client(self, number: int) -> None:
        from django.db import connection

        draw = random.Random(f"{self.seed}/{self.outcome.fault}/{number}")
        try:
            for operation in range(1_000_000):
                with self.lock:
                    if not self.operations_left:
                        return
                    self.operations_left -= 1
                    self.outcome.operations += 1
                self._operate(draw, 1_000_000 * (number + 1) + operation)
        except Exception as error:
            self.problem(f"client {number} failed with {error!r}")
        finally:
            connection.close()

    def _operate(self, draw: random.Random, seed: int) -> None:
        chance = draw.random()
        with self.lock:
            known = draw.choice(self.people) if self.people else None
        if known is None or chance < 0.2:
            self._enrol(seed)
        elif chance < 0.3:
            self._erase(known)
        else:
            self._search(known)

    def _enrol(self, seed: int) -> None:
        from people import enrolment
        from people.models import Person, Photo
        from tests import fakes
        from tests.actors import STAFF

        person = Person.objects.create(collection=self.collection, name=str(seed))
        photo = enrolment.submit(person, fakes.photo(seed), actor=STAFF).photo
        enrolment.enrol(photo.pk)
        deadline = time.monotonic() + 30
        while Photo.objects.get(pk=photo.pk).status == Photo.Status.PENDING and time.monotonic() < deadline:
            time.sleep(0.05)  # the worker has claimed it
        with self.lock:
            self.people.append(KnownPerson(seed, person, time.monotonic()))
        self._search(self.people[-1])

    def _erase(self, known: KnownPerson) -> None:
        from people import erasure
        from tests.actors import STAFF

        with self.lock:
            if known.erasing_from < float("inf"):
                return
            known.erasing_from = time.monotonic()
        erasure.erase(known.person, actor=STAFF)
        known.erased_at = time.monotonic()
        self._search(known)

    def _search(self, known: KnownPerson) -> None:
        from people import identification
        from tests import fakes
        from tests.actors import STAFF

        started = time.monotonic()
        result = identification.identify(fakes.photo(known.seed), collection=self.collection, actor=STAFF)
        ended = time.monotonic()
        is_candidate = known.person.pk in [candidate.person.pk for candidate in result.faces[0].candidates]
        with self.lock:
            self.outcome.searches += 1
            self.outcome.degraded += result.degraded
        if not is_candidate and known.enrolled_at <= started and known.erasing_from >= ended:
            self.problem(f"a search missed an enrolled person (degraded: {result.degraded})")
        if is_candidate and known.erased_at <= started:
            self.problem("a search returned an erased person")

    def problem(self, text: str) -> None:
        with self.lock:
            self.outcome.problems.append(text)

    def worker(self, stop: threading.Event) -> None:
        from django.db import connection

        from people import tasks

        try:
            while not stop.wait(0.5):
                tasks.sweep()
        finally:
            connection.close()

    def converge(self) -> None:
        """Wait until the index, the database and the outbox agree."""
        from people import index_sync
        from people.errors import IndexUnavailable
        from people.indexes.base import Space
        from people.indexes.pinecone import namespace_of
        from people.models import MeanTemplate, OutboxEntry

        started = time.monotonic()
        while True:
            waiting = MeanTemplate.objects.filter(indexed_at=None).count()
            pending = OutboxEntry.objects.filter(done_at=None).count()
            self.outcome.converged_after = time.monotonic() - started
            if not waiting and not pending:
                break
            if self.outcome.converged_after > CONVERGED_WITHIN:
                self.problem(
                    f"{waiting} vectors and {pending} outbox entries are still pending after a minute"
                )
                return
            time.sleep(0.2)
        try:
            self.outcome.drift = index_sync.compare().drift
        except IndexUnavailable as error:
            self.problem(f"the index could not be compared: {error}")
        means = MeanTemplate.objects.filter(collection=self.collection)
        expected = {str(pk) for pk in means.values_list("vector_id", flat=True)}
        space = Space(self.collection.pk, "fake/1")
        if self.double.stored().get(namespace_of(space), set()) != expected or self.outcome.drift:
            self.problem(f"the index and the database differ; reported drift: {self.outcome.drift}")


def prove(fault: str, double: Double, *, operations: int, seed: int) -> Outcome:
    """Run `operations` under one fault, then wait for the index to be repaired."""
    from people.indexes import forget_index

    forget_index()
    run = Run(fault, double, operations, seed)
    stop = threading.Event()
    worker = threading.Thread(target=run.worker, args=(stop,))
    worker.start()
    try:
        for name, value in FAULTS[fault].items():
            setattr(double.faults, name, value)
        clients = [threading.Thread(target=run.client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        lag = double.faults.lag
        double.faults = type(double.faults)(lag=lag)  # the lag stays: it is not a fault
        run.converge()
    finally:
        double.faults = type(double.faults)()
        stop.set()
        worker.join()
    run.outcome.problems += double.problems
    return run.outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "facerec_site.settings.test"
    failed = False
    with tempfile.TemporaryDirectory(prefix="facerec-index-") as folder:
        os.environ["FACEREC_VAR_DIR"] = folder
        os.environ["DATABASE_POOL_SIZE"] = str(CLIENTS + 2)
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from tests.pinecone_double import pinecone_index

        call_command("migrate", verbosity=0)
        with Double(seed=options.seed).running() as double:
            settings.TEMPLATE_INDEX = pinecone_index(double)
            print(f"{'fault':18} operations searches degraded converged_s drift problems")
            for fault in options.fault or FAULTS:
                outcome = prove(fault, double, operations=options.operations, seed=options.seed)
                print(
                    f"{fault:18} {outcome.operations:10} {outcome.searches:8} {outcome.degraded:8} "
                    f"{outcome.converged_after:11.1f} {outcome.drift:5} {len(outcome.problems):8}",
                    flush=True,
                )
                for problem in outcome.problems[:10]:
                    print("  " + problem)
                failed |= bool(outcome.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
