"""Prove that an import survives being killed: exact counts, nothing twice, no file without its row.

    .venv/bin/python -m tests.prove_import --photos 2000 --seed 1 --kills 5

Synthetic photos, real processes: `manage.py import_people` is killed (SIGKILL) at random and started
again until it ends. Then the same photos are imported without a kill, to see its memory.
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
SHARE_TWICE = 0.03


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found; `assert_holds` says whether it is as it must be."""

    expected: Counter[str]
    states: Counter[str]
    kills: int
    imports: int
    photos: int
    doubled: int
    templates: int
    files_without_row: int
    rows_without_file: int
    undone: int

    def assert_holds(self) -> None:
        assert self.states == self.expected, self
        assert (self.imports, self.doubled, self.undone) == (1, 0, 0), self
        assert self.photos == self.templates == self.expected["enrolled"], self
        assert (self.files_without_row, self.rows_without_file) == (0, 0), self


class Installation:
    """A service's folder, with nothing running."""

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
        self.manages("migrate", "--verbosity", "0")

    def starts(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "import.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    def manages(self, *arguments: str) -> None:
        process = self.starts(*arguments)
        assert process.wait() == 0, (self.folder / "import.log").read_text()[-3000:]

    def collection(self, name: str) -> None:
        self.manages(
            "shell", "-c", f"from people.models import Collection; Collection.objects.create(name='{name}')"
        )

    def tidies_up(self) -> None:
        """Do at once what the worker would do within minutes."""
        self.manages(
            "shell", "-c",
            "from django.utils import timezone\n"
            "from people import outbox, tasks\n"
            "from people.models import OutboxEntry\n"
            "OutboxEntry.objects.filter(done_at=None).update(due_at=timezone.now())\n"
            "while outbox.due(): tasks.sweep()\n",
        )  # fmt: skip

    def asks(self, query: str, *values: object) -> list[tuple[object, ...]]:
        path = self.folder / "facerec.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def counts(self, query: str, *values: object) -> int:
        return int(str(self.asks(query, *values)[0][0]))

    def done(self, collection: str) -> int:
        return self.counts(
            "SELECT count(*) FROM people_importitem i JOIN people_importjob j ON j.id = i.job_id "
            "JOIN people_collection c ON c.id = j.collection_id WHERE i.state <> 'pending' AND c.name = ?",
            collection,
        )


def lay_out(folder: Path, photos: int, draw: random.Random) -> Counter[str]:
    """Write synthetic photos, four a person, and return how many are to be in each state."""
    expected: Counter[str] = Counter()
    before: dict[int, list[bytes]] = {}
    for number in range(photos):
        person = number // 4
        theirs = before.setdefault(person, [])
        chance = draw.random()
        if chance < SHARE_WITHOUT_FACE:
            data, state = fakes.photo(None, variation=number), "rejected"
        elif theirs and chance < SHARE_WITHOUT_FACE + SHARE_TWICE:
            data, state = draw.choice(theirs), "known"
        else:
            data, state = fakes.photo(person, variation=number), "enrolled"
            theirs.append(data)
        path = folder / f"p{person:05}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        expected[state] += 1
    return expected


def prove(folder: Path, *, photos: int, kills: int, seed: int, tell: Callable[[str], None]) -> Proof:
    """Import `photos` photos, killing the import `kills` times, and return what is there at the end."""
    draw = random.Random(seed)
    source = folder / "source"
    expected = lay_out(source, photos, draw)
    installation = Installation(folder / "var")
    installation.collection("killed")
    command = ("import_people", str(source), "--collection", "killed")
    # at any moment: from its start, over the listing, to just before the end
    points = sorted(draw.randrange(photos * 9 // 10) for _ in range(kills))
    killed = 0
    for point in points:
        process = installation.starts(*command)
        while process.poll() is None and installation.done("killed") < point:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.1)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        tell(f"killed when {installation.done('killed')} of {photos} were done")
    installation.manages(*command)
    installation.tidies_up()
    states = Counter(
        {str(state): int(str(n)) for state, n in installation.asks(
            "SELECT state, count(*) FROM people_importitem GROUP BY state")}
    )  # fmt: skip
    rows = {str(name) for (name,) in installation.asks("SELECT file FROM people_photo")}
    stored = installation.folder / "photos"
    files = {str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file()}
    return Proof(
        expected=expected,
        states=states,
        kills=killed,
        imports=installation.counts("SELECT count(*) FROM people_importjob"),
        photos=len(rows),
        doubled=installation.counts(
            "SELECT count(*) - count(DISTINCT person_id || sha256) FROM people_photo"
        ),
        templates=installation.counts("SELECT count(*) FROM people_template"),
        files_without_row=len(files - rows),
        rows_without_file=len(rows - files),
        undone=installation.counts("SELECT count(*) FROM people_outboxentry WHERE done_at IS NULL"),
    )


def memory(folder: Path, photos: int) -> tuple[int, int]:
    """Import the same photos without a kill; return the peak memory at 10 % and at the end, in MB."""
    installation = Installation(folder / "var")
    installation.collection("whole")
    process = installation.starts("import_people", str(folder / "source"), "--collection", "whole")
    early = peak = 0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        if not early and installation.done("whole") >= photos // 10:
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

    def tell(words: str) -> None:
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proof = prove(folder, photos=options.photos, kills=options.kills, seed=options.seed, tell=tell)
        proof.assert_holds()
        tell(f"{proof.kills} kills, 1 import: {dict(proof.states)}, as expected")
        tell(f"{proof.photos} photos, {proof.doubled} doubled, files equal rows")
        early, peak = memory(folder, options.photos)
        tell(f"peak memory {early} MB at 10 %, {peak} MB at 100 %")


if __name__ == "__main__":
    main()
