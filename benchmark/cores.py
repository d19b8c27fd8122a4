"""Restricts this process to some of the machine's cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmark.errors import BenchmarkError


@contextmanager
def pinned_to(cores: Sequence[int]) -> Iterator[list[int]]:
    """Run on these cores until the block ends, or on all available ones if `cores` is empty. Yields them.

    Raises BenchmarkError for a core that doesn't exist or isn't available to this process.
    """
    available = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores or available)
    except OSError as error:
        raise BenchmarkError(f"This process can't be bound to the cores {cores}: {error}") from error
    try:
        yield sorted(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, available)
