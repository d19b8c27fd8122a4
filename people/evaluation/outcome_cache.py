"""Stores outcomes in a file, so that an interrupted or repeated evaluation doesn't extract photos again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from people.evaluation.outcomes import Outcome

FORMAT = 2
"""Increment it when extraction or the quality limits change, so that old outcomes aren't used."""
SAVED_EVERY = 100
"""Photos per transaction."""


class OutcomeCache:
    """The outcomes of one engine by the photo's SHA-256, in an SQLite file that all engines share."""

    def __init__(self, path: Path, engine: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._engine = engine
        self._connection = connection
        self._unsaved = 0
        connection.execute(
            "CREATE TABLE IF NOT EXISTS outcome (engine TEXT, photo BLOB, faces INTEGER, refused INTEGER, "
            "reference BLOB, probe BLOB, PRIMARY KEY (engine, photo)) WITHOUT ROWID"
        )

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, engine: str) -> Iterator[OutcomeCache]:
        """Open the cache in `folder` for the engine with this id, and save all outcomes at the end."""
        path = folder / f"outcomes-{FORMAT}.sqlite3"
        # The file contains people's templates, so other users of the machine must not read it.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            cache = cls(path, engine, connection)
            try:
                yield cache
            finally:
                cache.save()

    def get(self, sha256: bytes) -> Outcome | None:
        row = self._connection.execute(
            "SELECT faces, refused, reference, probe FROM outcome WHERE engine = ? AND photo = ?",
            (self._engine, sha256),
        ).fetchone()
        if row is None:
            return None
        faces, refused, reference, probe = row
        return Outcome(
            faces,
            bool(refused),
            np.frombuffer(reference, dtype=np.float32),
            np.frombuffer(probe, dtype=np.float32),
        )

    def put(self, sha256: bytes, outcome: Outcome) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._engine,
                sha256,
                outcome.faces,
                outcome.refused,
                outcome.reference.tobytes(),
                outcome.probe.tobytes(),
            ),
        )
        self._unsaved += 1
        if self._unsaved >= SAVED_EVERY:
            self.save()

    def save(self) -> None:
        self._connection.commit()
        self._unsaved = 0
