"""What every test uses: a fake engine unless it asks for the real one, and no network."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest
import xdist
from celery import current_app
from django.conf import settings as django_settings
from django.contrib.auth.models import User

from people import enrolment, tasks
from people.broker import Task
from people.indexes import forget_index
from people.models import Collection, Person, Photo
from people.s3 import input_buckets
from tests import fakes, prove_import, prove_kills, servers, service
from tests.actors import STAFF
from tests.needs import MISSING, NEEDS
from tests.pinecone_double import Double

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(autouse=True)
def _own_world() -> Iterator[None]:
    """Give each test an empty storage and index, and no counted requests."""
    forget_index()
    _forget_counts()
    yield
    forget_index()
    shutil.rmtree(Path(django_settings.FACEREC_VAR_DIR) / "photos", ignore_errors=True)


def _forget_counts() -> None:
    path = Path(django_settings.RATE_COUNTER["OPTIONS"]["path"])
    if path.exists():
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("DELETE FROM counts")


@pytest.fixture
def samples() -> Path:
    """The folder of the public-domain portraits that `manage.py fetch_samples` obtains."""
    return Path(django_settings.FACEREC_SAMPLES_DIR)


@pytest.fixture
def real_engine(settings: Any) -> None:
    """Use the default engine and its real weights."""
    settings.FACE_ENGINE = {"BACKEND": "people.engines.onnx.OnnxEngine", "OPTIONS": {}}


@pytest.fixture(autouse=True)
def messages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Catch what is sent to the broker: tests of the domain run the work themselves.

    The real broker and worker are tested in tests/facerec_site/test_processes.py.
    """
    sent: list[int] = []

    def send_task(name: str, args: list[int], **options: Any) -> None:
        assert name in (Task.DELIVER, Task.SYNC_INDEX)
        sent.extend(args)

    monkeypatch.setattr(current_app, "send_task", send_task)
    return sent


@pytest.fixture
def work() -> Callable[[], None]:
    """Do all the work that is due in the outbox, as the worker would."""
    return lambda: tasks.sweep()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process each message at once, as a worker without delays would."""
    by_name: dict[str, Callable[..., Any]] = {Task.DELIVER: tasks.deliver, Task.SYNC_INDEX: tasks.sync_index}
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: by_name[name](*args))


@pytest.fixture
def pinecone() -> Iterator[Double]:
    """A server with Pinecone's HTTP API; all requests and responses must fit its OpenAPI document."""
    with Double().running() as double:
        gc.freeze()  # what is there already need not be searched
        yield double
        forget_index()
        gc.collect()  # closes the connections of indexes that nobody holds any more
        gc.unfreeze()
    assert double.problems == []


@pytest.fixture
def collection(db: None) -> Collection:
    return Collection.objects.create(name="default")


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("staff", password="staff")


@pytest.fixture
def enrolled(collection: Collection) -> Callable[..., Person]:
    """Enrol a person of the fake engine, from photos of the given variations."""

    def enrol(seed: int, *variations: int, into: Collection | None = None, **fields: Any) -> Person:
        fields.setdefault("name", f"Person {seed}")
        person = Person.objects.create(collection=into or collection, **fields)
        for variation in variations or (0,):
            submission = enrolment.submit(person, fakes.photo(seed, variation=variation), actor=STAFF)
            enrolment.enrol(submission.photo.pk)
            submission.photo.refresh_from_db()
            assert submission.photo.status == Photo.Status.ACCEPTED, submission.photo.rejection
        return person

    return enrol


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """The address of a server that simulates AWS."""
    with servers.aws() as address:
        yield address


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have boto3 use an empty simulation of AWS on this machine."""
    for name, value in {**servers.AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": aws_server}.items():
        monkeypatch.setenv(name, value)
    input_buckets._client.cache_clear()
    yield aws_server
    input_buckets._client.cache_clear()
    servers.forget_aws(aws_server)


@pytest.fixture
def s3(aws: str, settings: Any) -> Iterator[S3Client]:
    """An S3 client, with a bucket `inbox` that photos and imports may be read from."""
    import boto3

    settings.FACEREC_S3_INPUT_BUCKETS = ["inbox"]
    client = boto3.client("s3")
    servers.make_bucket(client, "inbox")
    yield client
    client.close()


_left_out = pytest.StashKey[dict[str, int]]()

DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}
STARTERS = (service.running, prove_kills.prove, prove_import.prove)
"""What starts the service's processes, by default on the database that DATABASE_URL names."""
SHARED = {"rendered": "copilot"}
"""Session fixtures that take many seconds, by the group of tests that runs in one worker because of them."""
SLOW_FIXTURES = {"real_engine", *SHARED}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers per core: the tests that start processes spend much of their time waiting."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_configure(config: pytest.Config) -> None:
    if MISSING and os.environ.get("FACEREC_REQUIRE_ALL"):
        raise pytest.UsageError(
            "\n".join(f"{NEEDS[one][1]} is not installed: apt-get install {NEEDS[one][2]}" for one in MISSING)
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)  # marks come before -m selects, the order after pytest-django's
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    for marker in MISSING:
        left_out = [item for item in items if item.get_closest_marker(marker)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash.setdefault(_left_out, {})[marker] = len(left_out)
    for item in items:
        if _depends_on_the_database(item):
            item.add_marker("database")
        if _starts_processes(item) or SLOW_FIXTURES & _fixtures(item):
            item.add_marker("slow")
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    items.sort(key=_place_in_the_queue)


def _place_in_the_queue(item: pytest.Item) -> int:
    """Start the longest tests first: short ones then fill the time that remains on each worker."""
    if _uses_a_starter(item):
        return 0
    return 1 if item.get_closest_marker("slow") else 2


def _depends_on_the_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("once"):
        return False
    if item.get_closest_marker("django_db") or DATABASE_FIXTURES & _fixtures(item):
        return True
    return _uses_a_starter(item)


def _starts_processes(item: pytest.Item) -> bool:
    return _uses_a_starter(item) or any(item.get_closest_marker(marker) for marker in NEEDS)


def _uses_a_starter(item: pytest.Item) -> bool:
    names = vars(_module(item)).values()
    return any(name is starter for name in names for starter in STARTERS)


def _group(item: pytest.Item) -> str | None:
    if "service" in _fixtures(item):  # one for a module
        return _module(item).__name__
    return next((group for fixture, group in SHARED.items() if fixture in _fixtures(item)), None)


def _fixtures(item: pytest.Item) -> set[str]:
    return set(item.fixturenames) if isinstance(item, pytest.Function) else set()


def _module(item: pytest.Item) -> ModuleType:
    module = item.getparent(pytest.Module)
    assert module is not None
    return cast(ModuleType, module.obj)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if xdist.is_xdist_worker(session):
        output: dict[str, Any] = vars(session.config)["workeroutput"]  # xdist puts it there
        output["left_out"] = session.config.stash.get(_left_out, {})


def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker left out: each of them collects all tests."""
    node.config.stash.setdefault(_left_out, {}).update(getattr(node, "workeroutput", {}).get("left_out", {}))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for marker, count in config.stash.get(_left_out, {}).items():
        _, name, packages = NEEDS[marker]
        terminalreporter.write_line(
            f"SKIPPED: {count} {marker} tests, because {name} is not installed (apt-get install {packages})."
        )
