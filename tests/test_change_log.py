"""The change log is in commit order: a reader that saw an entry has seen all earlier entries."""

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
    first_id, second_id = uuid4(), uuid4()
    is_written, may_commit = threading.Event(), threading.Event()

    def write_first_slowly() -> None:
        with transaction.atomic():
            outbox.person_changed(first_id)
            is_written.set()
            may_commit.wait(30)
        connection.close()

    def write_second() -> None:
        with transaction.atomic():
            outbox.person_changed(second_id)
        connection.close()

    threads = [threading.Thread(target=write_first_slowly), threading.Thread(target=write_second)]
    threads[0].start()
    assert is_written.wait(30)
    threads[1].start()
    threads[1].join(0.5)
    # the second entry must not become visible before the first, whose id is lower
    assert not OutboxEntry.objects.exists()
    may_commit.set()
    for thread in threads:
        thread.join(30)
    person_ids = OutboxEntry.objects.order_by("pk").values_list("person_id", flat=True)
    assert list(person_ids) == [first_id, second_id]


@pytest.mark.once  # only SQLite can simulate a full disk
@pytest.mark.django_db(transaction=True)
def test_on_a_full_disk_a_change_is_rolled_back_completely_and_later_ones_succeed() -> None:
    collection = Collection.objects.create(name="default")

    def limit(pages: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        used_pages = cursor.fetchone()[0]
    limit(used_pages)
    try:
        with pytest.raises(OperationalError, match="full"):
            _fill(collection)
        stored_people = Person.objects.count()
        assert OutboxEntry.objects.count() == stored_people
    finally:
        limit(1_000_000)
    registration.save_person(Person(collection=collection, name="Ada"), actor=STAFF)
    assert Person.objects.count() == stored_people + 1


def _fill(collection: Collection) -> None:
    for number in range(2000):
        person = Person(collection=collection, name=f"{number}" * 60, metadata={"x": "y" * 3000})
        registration.save_person(person, actor=STAFF)
