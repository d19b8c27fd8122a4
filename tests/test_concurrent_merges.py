"""Merges during enrolments, erasures and other merges."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection

from people import enrolment, erasure, extraction, merging
from people.errors import MergedErased, PersonMerged, UndoneAlready, UndoOutOfOrder
from people.models import Collection, MeanTemplate, Person, Photo, Template
from tests import fakes
from tests.actors import STAFF
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


@pytest.mark.parametrize("undone", [False, True])
def test_a_merge_while_the_worker_processes_a_photo_is_taken_into_account(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    kept_person, merged_person = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(merged_person, fakes.photo(1, variation=4), actor=STAFF).photo
    from_photo = extraction.from_photo

    def merge_first(*args: Any, **options: Any) -> Any:
        merge = merging.merge(kept_person, merged_person, actor=STAFF)
        if undone:
            merging.undo(merge, actor=STAFF)
        return from_photo(*args, **options)

    monkeypatch.setattr(extraction, "from_photo", merge_first)
    enrolment.enrol(photo.pk)
    owner = merged_person if undone else kept_person
    photo.refresh_from_db()
    assert (photo.status, photo.person) == (Photo.Status.ACCEPTED, owner)
    assert Template.objects.get(photo=photo).person == owner
    assert MeanTemplate.objects.get(person=kept_person).templates == (1 if undone else 2)
    assert MeanTemplate.objects.filter(person=merged_person).exists() == undone
    assert [warning["code"] for warning in photo.warnings] == (
        ["possible_duplicate_person"] if undone else []
    )


def test_a_photo_submitted_while_its_person_is_merged_leaves_no_file(
    enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=merged_person.pk)
    merging.merge(kept_person, merged_person, actor=STAFF)
    with pytest.raises(PersonMerged):
        enrolment.submit(stale, fakes.photo(2, variation=8), actor=STAFF)
    work()
    assert len(stored_files()) == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_enrolments_merges_and_undos_leave_every_template_with_its_photo(
    enrolled: Enrol,
) -> None:
    kept_person = enrolled(1)
    collection = kept_person.collection
    merged_person = Person.objects.create(collection=collection)
    photos = [
        enrolment.submit(merged_person, fakes.photo(1, variation=v), actor=STAFF).photo for v in range(1, 9)
    ]
    failures: list[Exception] = []

    def run(work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    def merge_and_undo() -> None:
        for _ in range(4):
            merging.undo(merging.merge(kept_person, merged_person, actor=STAFF), actor=STAFF)
        merging.merge(kept_person, merged_person, actor=STAFF)

    def enrol(share: list[Photo]) -> None:
        for photo in share:
            enrolment.enrol(photo.pk)

    parts: list[Callable[[], Any]] = [merge_and_undo, lambda: enrol(photos[::2]), lambda: enrol(photos[1::2])]
    threads = [threading.Thread(target=run, args=[part]) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Photo.objects.filter(status=Photo.Status.ACCEPTED, person=kept_person).count() == 9
    assert {template.person_id for template in Template.objects.all()} == {kept_person.pk}
    assert MeanTemplate.objects.get().templates == 9


@pytest.mark.django_db(transaction=True)
def test_concurrent_merges_undos_and_erasures_never_erase_a_person_partially() -> None:
    collection = Collection.objects.create(name="default")
    expected = (Person.DoesNotExist, PersonMerged, MergedErased, UndoneAlready, UndoOutOfOrder)
    failures: list[Exception] = []

    def run(work: Callable[[], Any]) -> None:
        try:
            work()
        except expected:
            pass
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    for seed in range(6):
        people = [Person.objects.create(collection=collection) for _ in range(3)]
        for variation, person in enumerate(people, 1):
            enrolment.enrol(
                enrolment.submit(person, fakes.photo(seed, variation=variation), actor=STAFF).photo.pk
            )
        first, second, third = people
        merge = merging.merge(second, third, actor=STAFF)
        parts: list[Callable[[], Any]] = [
            partial(merging.merge, first, second, actor=STAFF),
            partial(erasure.erase, third, actor=STAFF),
            partial(merging.undo, merge, actor=STAFF),
        ]
        threads = [threading.Thread(target=run, args=[part]) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not Person.objects.filter(pk=third.pk).exists()
    assert failures == []
    assert not Person.objects.filter(status="merged", merged_into=None).exists()
    for template in Template.objects.select_related("photo__person"):
        assert template.person == template.photo.person
        assert template.person.status == "active"
    means = MeanTemplate.objects.values_list("person", "templates")
    assert dict(means) == {
        person.pk: person.templates.count() for person in Person.objects.filter(status="active")
    }
