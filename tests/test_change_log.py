"""The change log's order is the order of commits: a reader that saw an entry has seen all before it."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction

from people import outbox, registration
from people.models import Collection, OutboxEntry, Person
from tests.actors import STAFF


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_was_written_first_is_committed_first() -> None:
    first, second = uuid4(), uuid4()
    written, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            outbox.person_changed(first)
            written.set()
            go_on.wait(30)
        connection.close()

    def quick() -> None:
        with transaction.atomic():
            outbox.person_changed(second)
        connection.close()

    threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
    threads[0].start()
    assert written.wait(30)
    threads[1].start()
    threads[1].join(0.5)
    # the second must not be seen while the first, whose id is lower, is not
    assert not OutboxEntry.objects.exists()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert list(OutboxEntry.objects.order_by("pk").values_list("person_id", flat=True)) == [first, second]


@pytest.mark.once  # SQLite can be given a small disk
@pytest.mark.django_db(transaction=True)
def test_a_full_disk_refuses_the_whole_change_and_the_next_one_goes_through() -> None:
    collection = Collection.objects.create(name="default")

    def limit(pages: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        used = cursor.fetchone()[0]
    limit(used)
    try:
        with pytest.raises(OperationalError, match="full"):
            _fill(collection)
        stored = Person.objects.count()
        assert OutboxEntry.objects.count() == stored  # each with its entry, none half
    finally:
        limit(1_000_000)
    registration.save_person(Person(collection=collection, name="Ada"), actor=STAFF)
    assert Person.objects.count() == stored + 1


def _fill(collection: Collection) -> None:
    for number in range(2000):
        person = Person(collection=collection, name=f"{number}" * 60, metadata={"x": "y" * 3000})
        registration.save_person(person, actor=STAFF)
