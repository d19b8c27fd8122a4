"""Prove that an import survives being killed: exact counts, no duplicates, and no file without a row.

    .venv/bin/python -m tests.prove_import --photos 2000 --seed 1 --kills 5

Uses synthetic photos and real processes: `manage.py import_people` is killed (SIGKILL) at random moments
and started again until it completes. The same photos are then imported without kills to measure memory.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests import fakes
from tests.service import ROOT

SHARE_WITHOUT_FACE = 0.05
SHARE_OF_DUPLICATES = 0.03


@dataclass(frozen=True, slots=True)
class Proof:
    """The state after the import. `assert_holds` checks that it is as expected."""

    expected: Counter[str]
    states: Counter[str]
    kills: int
    imports: int
    photos: int
    duplicates: int
    templates: int
    files_without_row: int
    rows_without_file: int
    pending_entries: int

    def assert_holds(self) -> None:
        assert self.states == self.expected, self
        assert (self.imports, self.duplicates, self.pending_entries) == (1, 0, 0), self
        assert self.photos == self.templates == self.expected["enrolled"], self
        assert (self.files_without_row, self.rows_without_file) == (0, 0), self


class Installation:
    """The folder of a service that isn't running, and its management commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "ENVIRONMENT": "development",
            "DJANGO_SETTINGS_MODULE": "tests.settings_processes",
            "FACEREC_TEST_FAKE_ENGINE": "1",
            "FACEREC_VAR_DIR": str(folder),
            "PYTHONPATH": str(ROOT),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.manage("migrate", "--verbosity", "0")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "import.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    def manage(self, *arguments: str) -> None:
        process = self.start(*arguments)
        assert process.wait() == 0, (self.folder / "import.log").read_text()[-3000:]

    def create_collection(self, name: str) -> None:
        self.manage(
            "shell", "-c", f"from people.models import Collection; Collection.objects.create(name='{name}')"
        )

    def process_outbox(self) -> None:
        """Process all outbox entries now, as the worker would within minutes."""
        self.manage(
            "shell", "-c",
            "from django.utils import timezone\n"
            "from people import outbox, tasks\n"
            "from people.models import OutboxEntry\n"
            "OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now())\n"
            "while outbox.due(): tasks.sweep()\n",
        )  # fmt: skip

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        path = self.folder / "facerec.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(sql, values).fetchall()

    def count(self, sql: str, *values: object) -> int:
        return int(str(self.query(sql, *values)[0][0]))

    def processed(self, collection: str) -> int:
        """Return how many files of the collection's imports have a result."""
        return self.count(
            "SELECT count(*) FROM people_importitem i JOIN people_importjob j ON j.id = i.job_id "
            "JOIN people_collection c ON c.id = j.collection_id WHERE i.state <> 'pending' AND c.name = ?",
            collection,
        )


def lay_out(folder: Path, photos: int, draw: random.Random) -> Counter[str]:
    """Write synthetic photos, four per person, and return the expected number of files in each state."""
    expected: Counter[str] = Counter()
    enrolled: dict[int, list[bytes]] = {}
    for number in range(photos):
        person = number // 4
        photos_of_person = enrolled.setdefault(person, [])
        chance = draw.random()
        if chance < SHARE_WITHOUT_FACE:
            data, state = fakes.photo(None, variation=number), "rejected"
        elif photos_of_person and chance < SHARE_WITHOUT_FACE + SHARE_OF_DUPLICATES:
            data, state = draw.choice(photos_of_person), "known"
        else:
            data, state = fakes.photo(person, variation=number), "enrolled"
            photos_of_person.append(data)
        path = folder / f"p{person:05}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        expected[state] += 1
    return expected


def prove(folder: Path, *, photos: int, kills: int, seed: int, report: Callable[[str], None]) -> Proof:
    """Import `photos` photos, killing the import `kills` times, and return the state at the end."""
    draw = random.Random(seed)
    source = folder / "source"
    expected = lay_out(source, photos, draw)
    installation = Installation(folder / "var")
    installation.create_collection("killed")
    command = ("import_people", str(source), "--collection", "killed")
    # anywhere from the start of the import, through the listing, to just before the end
    points = sorted(draw.randrange(photos * 9 // 10) for _ in range(kills))
    killed = 0
    for point in points:
        process = installation.start(*command)
        while process.poll() is None and installation.processed("killed") < point:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.1)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        report(f"killed after {installation.processed('killed')} of {photos} photos")
    installation.manage(*command)
    installation.process_outbox()
    states = Counter(
        {str(state): int(str(n)) for state, n in installation.query(
            "SELECT state, count(*) FROM people_importitem GROUP BY state")}
    )  # fmt: skip
    rows = {str(name) for (name,) in installation.query("SELECT file FROM people_photo")}
    stored = installation.folder / "photos"
    files = {str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file()}
    return Proof(
        expected=expected,
        states=states,
        kills=killed,
        imports=installation.count("SELECT count(*) FROM people_importjob"),
        photos=len(rows),
        duplicates=installation.count(
            "SELECT count(*) - count(DISTINCT person_id || sha256) FROM people_photo"
        ),
        templates=installation.count("SELECT count(*) FROM people_template"),
        files_without_row=len(files - rows),
        rows_without_file=len(rows - files),
        pending_entries=installation.count("SELECT count(*) FROM people_outboxentry WHERE done_at IS NULL"),
    )


def memory(folder: Path, photos: int) -> tuple[int, int]:
    """Import the same photos without kills; return peak memory in MB after 10% of them and at the end."""
    installation = Installation(folder / "var")
    installation.create_collection("not-killed")
    process = installation.start("import_people", str(folder / "source"), "--collection", "not-killed")
    early = peak = 0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        if not early and installation.processed("not-killed") >= photos // 10:
            early = peak
        time.sleep(0.02)
    assert process.returncode == 0, (installation.folder / "import.log").read_text()[-3000:]
    return early, peak


def _peak_mb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()

    def report(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proof = prove(folder, photos=options.photos, kills=options.kills, seed=options.seed, report=report)
        proof.assert_holds()
        report(f"{proof.kills} kills, 1 import: {dict(proof.states)}, as expected")
        report(
            f"{proof.photos} photos, {proof.duplicates} duplicates; every file has a row and every row a file"
        )
        early, peak = memory(folder, options.photos)
        report(f"peak memory: {early} MB after 10% of the photos, {peak} MB at the end")


if __name__ == "__main__":
    main()
