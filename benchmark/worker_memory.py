"""Measures the memory of gunicorn's workers."""

from __future__ import annotations

from pathlib import Path

from benchmark.results import WorkerMemory


def largest_worker(master: int) -> WorkerMemory:
    """Return the memory of the worker with the most private memory.

    `master` is the process id of gunicorn's main process.
    """
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return max((_memory(int(worker)) for worker in workers), key=lambda memory: memory.private_mb)


def _memory(process: int) -> WorkerMemory:
    _, *lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    return WorkerMemory(
        rss_mb=kilobytes["Rss"] / 1024,
        private_mb=(kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]) / 1024,
    )
