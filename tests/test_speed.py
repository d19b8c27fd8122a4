"""What keeps the service fast, tested without a clock: few queries, no copies, and nothing read twice."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.db import OperationalError, connection

from facerec_site import preloading
from people import gallery, uploads
from people.database import without_waiting_for_the_disk
from people.decision import unit
from people.indexes import embedded, get_index
from people.indexes.embedded import Matrix
from people.models import Collection, MeanTemplate, Person

Enrol = Callable[..., Person]
Queries = Callable[[int], Any]


def test_the_count_of_a_large_collection_is_cached(
    monkeypatch: pytest.MonkeyPatch,
    collection: Collection,
    enrolled: Enrol,
    django_assert_num_queries: Queries,
) -> None:
    monkeypatch.setattr(gallery, "CACHED_FROM", 1)
    enrolled(1)
    enrolled(2)
    assert gallery.enrolled(collection.pk, "fake/1") == 2
    enrolled(3)
    with django_assert_num_queries(0):
        assert gallery.enrolled(collection.pk, "fake/1") == 2
    monkeypatch.setattr(gallery, "CACHED_SECONDS", -1.0)
    assert gallery.enrolled(collection.pk, "fake/1") == 3


def test_a_small_collection_is_counted_each_time(collection: Collection, enrolled: Enrol) -> None:
    for people in range(3):
        assert gallery.enrolled(collection.pk, "fake/1") == people
        enrolled(people)


@pytest.mark.django_db(transaction=True)
def test_templates_are_loaded_before_the_first_search(
    collection: Collection, enrolled: Enrol, django_assert_num_queries: Queries
) -> None:
    person = enrolled(1)
    preloading.prepare()
    probe = np.frombuffer(MeanTemplate.objects.get().vector, "<f4")[None]
    with django_assert_num_queries(1):  # for the last id of the change log
        proposals = get_index().nearest(probe, collection_id=collection.pk, engine="fake/1", limit=1)
    assert proposals.persons == [[person.pk]]


@pytest.mark.parametrize(
    ("table", "problem"), [("engineversion", "OperationalError"), ("outboxentry", "IndexUnavailable")]
)
@pytest.mark.django_db(transaction=True)
def test_a_process_starts_even_if_the_templates_can_t_be_read_yet(
    table: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_for_table(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if table in sql:
            raise OperationalError
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_for_table):
        preloading.prepare()
    assert problem in caplog.text


def _private_bytes() -> int:
    """Return how much memory this process doesn't share with other processes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def test_forked_processes_share_the_memory_of_the_templates() -> None:
    people, dimension = 100_000, 128
    matrix, ids = Matrix(dimension), [uuid4() for _ in range(people)]
    vectors = unit(np.random.default_rng(1).standard_normal((people, dimension), dtype=np.float32))
    matrix.extend(ids, vectors)
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:  # exits below
        try:
            gc.disable()  # a collection would write to every object, which copies the shared memory
            before = _private_bytes()
            ((nearest_id,),) = matrix.nearest(vectors[7:8], 1, threads=1)
            os.write(write_end, nearest_id.bytes + (_private_bytes() - before).to_bytes(8, signed=True))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    report = os.read(read_end, 24)
    os.close(read_end)
    os.close(write_end)
    assert report[:16] == ids[7].bytes
    assert int.from_bytes(report[16:], signed=True) < people * dimension / 4


def test_a_large_in_memory_index_logs_a_recommendation_of_pinecone_once(
    monkeypatch: pytest.MonkeyPatch, collection: Collection, enrolled: Enrol, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedded, "LARGE_COLLECTION", 2)
    for seed in range(4):
        enrolled(seed)
        get_index().load("fake/1")
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(collection.pk) in warning.getMessage()
    assert "Pinecone" in warning.getMessage()


def test_removed_people_are_not_proposed_and_the_others_are() -> None:
    matrix, ids = Matrix(8), [uuid4() for _ in range(5)]
    vectors = unit(np.random.default_rng(2).standard_normal((5, 8)).astype(np.float32))
    matrix.extend(ids, vectors)
    matrix.remove([ids[1], ids[4], uuid4()])
    assert len(matrix) == 3
    (order,) = matrix.nearest(vectors[3:4], 5, threads=1)
    assert order[0] == ids[3]
    assert set(order) == {ids[0], ids[2], ids[3]}
    matrix.remove([ids[0], ids[2], ids[3]])
    assert matrix.nearest(vectors[:1], 5, threads=1) == [[]]


def test_an_uploaded_photo_is_not_copied() -> None:
    buffer = BytesIO(b"photo" * 1000)
    file = InMemoryUploadedFile(buffer, "photo", "a.jpg", "image/jpeg", 5000, None)
    assert uploads.content(file) is buffer.getvalue()
    assert uploads.content(file) == b"photo" * 1000


@pytest.mark.django_db(transaction=True)
def test_commits_wait_for_the_disk_except_inside_the_block_that_does_not_wait(db: None) -> None:
    statement = "PRAGMA synchronous" if connection.vendor == "sqlite" else "SHOW synchronous_commit"

    def commits_wait() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] in (2, "on")

    assert commits_wait()
    with without_waiting_for_the_disk():
        assert not commits_wait()
    assert commits_wait()
