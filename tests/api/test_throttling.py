"""Requests are counted exactly across all threads and processes, until the window ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import redis_server

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parents[2]
START = "import django, facerec_site; facerec_site.choose_settings(); django.setup()\n"
COUNT_FROM_TWELVE_THREADS = (
    START
    + """
from concurrent.futures import ThreadPoolExecutor
from people.api.throttling import count

print("ready", flush=True)
input()
with ThreadPoolExecutor(12) as threads:
    windows = threads.map(lambda _: count("key:one", "1000/day"), range(240))
    print(*(window.used for window in windows))
"""
)
COUNT_ON_A_QUIET_DAY = (
    START
    + """
import time
from people.api.throttling import count

seconds = 20_000 * 86_400.0
time.time = lambda: seconds
count("key:one", "10/day")
count("key:one", "10/day")
for number in range(1_000):
    count(f"key:other-{number}", "10/day")
seconds += 23 * 3_600
print(count("key:one", "10/day").used)
"""
)


@pytest.fixture(params=["one machine", pytest.param("redis", marks=pytest.mark.redis)])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment variables of an installation with its own counts."""
    variables = {
        **os.environ,
        "ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "facerec_site.settings.development",
        "FACEREC_VAR_DIR": str(tmp_path),
    }
    if request.param == "redis":
        with redis_server() as redis:
            yield {**variables, "CACHE_URL": redis.url}
    else:
        yield variables


def _python(script: str, variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_each_of_480_concurrent_requests_to_two_processes_is_counted(installation: dict[str, str]) -> None:
    processes = [_python(COUNT_FROM_TWELVE_THREADS, installation) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    counted = [int(used) for process in processes for used in process.communicate()[0].split()]
    assert sorted(counted) == list(range(1, 481))


def test_a_daily_count_survives_an_idle_day_and_the_requests_of_other_keys(
    installation: dict[str, str],
) -> None:
    with _python(COUNT_ON_A_QUIET_DAY, installation) as process:
        assert process.communicate()[0] == "3\n"
