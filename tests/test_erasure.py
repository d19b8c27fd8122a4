"""Erasure: what is deleted, what the receipt and the audit log keep, and the audit log's hash chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import ProtectedError

from people import audit, erasure, identification, outbox
from people.models import (
    AuditEvent,
    Collection,
    Erasure,
    IdempotentAnswer,
    MeanTemplate,
    OutboxEntry,
    Person,
    Photo,
    Template,
)
from people.models.photo import photo_storage
from tests import fakes
from tests.actors import STAFF
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


def test_when_the_call_returns_the_person_and_all_their_data_are_deleted(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    person, remaining_person = enrolled(1, 1, 2), enrolled(2)
    receipt = erasure.erase(person, actor=STAFF)
    assert (receipt.photos, receipt.templates) == (2, 2)
    assert not Photo.objects.filter(person=person.pk).exists()
    assert {template.person for template in Template.objects.all()} == {remaining_person}
    assert {mean.person for mean in MeanTemplate.objects.all()} == {remaining_person}
    result = identification.identify(fakes.photo(1), collection=collection, actor=STAFF, include_below=True)
    assert [candidate.person for candidate in result.faces[0].candidates] == [remaining_person]
    work()
    assert stored_files() == [remaining_person.photos.get().file.name]


@pytest.mark.once  # only SQLite's files can be read here
@pytest.mark.django_db(transaction=True)
def test_no_bytes_of_an_erased_person_remain_in_sqlite_s_files(enrolled: Enrol) -> None:
    person = enrolled(1, name="Ada Lovelace, to be erased")
    vector = bytes(MeanTemplate.objects.get().vector)
    file = Path(connection.settings_dict["NAME"])

    def stored_bytes() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))

    assert b"Ada Lovelace" in stored_bytes()
    assert vector in stored_bytes()
    erasure.erase(person, actor=STAFF)
    assert b"Ada Lovelace" not in stored_bytes()
    assert vector not in stored_bytes()


def test_the_receipt_and_the_audit_identify_the_person_by_id_only(enrolled: Enrol) -> None:
    person = enrolled(1, name="Ada Lovelace")
    erasure.erase(person, actor=STAFF)
    receipt, event = Erasure.objects.get(), AuditEvent.objects.get(action="person.erased")
    assert receipt.person_id == person.pk
    assert event.object_id == str(person.pk)
    assert "Ada" not in str(AuditEvent.objects.values())


def test_stored_responses_about_an_erased_person_are_deleted(enrolled: Enrol) -> None:
    person, remaining_person = enrolled(1), enrolled(2)
    for number, subject in enumerate((person, remaining_person)):
        IdempotentAnswer.objects.create(
            actor="key:1",
            key=str(number),
            request_hash="",
            status=201,
            body={"name": subject.name},
            person_id=subject.pk,
        )
    erasure.erase(person, actor=STAFF)
    assert [response.person_id for response in IdempotentAnswer.objects.all()] == [remaining_person.pk]


def test_erasing_a_person_twice_raises_does_not_exist(enrolled: Enrol) -> None:
    person = enrolled(1)
    erasure.erase(person, actor=STAFF)
    with pytest.raises(Person.DoesNotExist):
        erasure.erase(person, actor=STAFF)


@pytest.mark.parametrize("method", ["instance", "queryset", "photo", "photos", "collection"])
def test_a_person_or_photo_cannot_be_deleted_in_any_other_way(enrolled: Enrol, method: str) -> None:
    person = enrolled(1)
    methods: dict[str, Callable[[], Any]] = {
        "instance": person.delete,
        "queryset": Person.objects.all().delete,
        "photo": person.photos.get().delete,
        "photos": person.photos.all().delete,
        "collection": person.collection.delete,
    }
    with pytest.raises((TypeError, ProtectedError)):
        methods[method]()
    assert Person.objects.exists()
    assert Photo.objects.exists()


def test_deleting_a_collection_erases_everyone_in_it(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    remaining_collection = Collection.objects.create(name="remaining")
    for seed in (1, 2, 3):
        enrolled(seed)
    enrolled(4, into=remaining_collection)
    assert erasure.erase_collection(collection, actor=STAFF) == 3
    work()
    assert list(Collection.objects.all()) == [remaining_collection]
    assert len(stored_files()) == 1
    assert Erasure.objects.count() == 3


def test_a_file_is_purged_even_if_the_first_attempt_fails(
    enrolled: Enrol, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled(1)
    erasure.erase(person, actor=STAFF)
    with monkeypatch.context() as patch:
        patch.setattr(type(photo_storage()), "delete", _disk_error)
        work()
    assert len(stored_files()) == 1
    entry = OutboxEntry.objects.get(topic=OutboxEntry.Topic.PURGE_FILE, done_at=None)
    assert entry.last_error == "OSError"
    OutboxEntry.objects.update(due_at=entry.created_at)
    work()
    assert stored_files() == []


def _disk_error(*args: Any) -> None:
    raise OSError


def test_an_entry_is_claimed_by_one_worker_only(enrolled: Enrol) -> None:
    entry = outbox.request_file_purge("nothing.jpg")
    assert outbox.claim(entry.pk) is not None
    assert outbox.claim(entry.pk) is None


def test_the_hash_chain_reveals_a_changed_or_removed_audit_event(enrolled: Enrol) -> None:
    enrolled(1)
    enrolled(2)
    assert audit.first_broken() is None
    events = list(AuditEvent.objects.order_by("id"))
    AuditEvent.objects.filter(pk=events[1].pk).update(actor="user:99")
    assert audit.first_broken() == events[1]
    AuditEvent.objects.filter(pk=events[1].pk).update(actor=events[1].actor)
    assert audit.first_broken() is None
    AuditEvent.objects.filter(pk=events[0].pk).delete()
    assert audit.first_broken() == events[1]


def test_an_audit_event_cannot_be_changed_or_deleted(enrolled: Enrol) -> None:
    enrolled(1)
    event = AuditEvent.objects.first()
    assert event is not None
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()
