"""What a merge changes for other operations on the people: enrolment, erasure, warnings and retention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from people import enrolment, erasure, identification, merging, photo_warnings, registration, retention
from people.errors import MergedErased, PersonMerged
from people.faces import Box
from people.models import AuditEvent, Collection, Erasure, MeanTemplate, Merge, Person, Photo
from tests import fakes
from tests.actors import STAFF
from tests.merged_records import candidates, photos_of
from tests.stored_files import stored_files
from tests.times import ago

Enrol = Callable[..., Person]


def test_a_merged_person_cannot_be_enrolled_changed_or_verified(enrolled: Enrol) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=merged_person.pk)
    merging.merge(kept_person, merged_person, actor=STAFF)
    fresh = Person.objects.get(pk=merged_person.pk)
    files = stored_files()
    operations: list[Callable[[Person], Any]] = [
        lambda person: enrolment.submit(person, fakes.photo(2, variation=8), actor=STAFF),
        lambda person: registration.save_person(person, actor=STAFF),
    ]
    for operation in operations:
        for person in (stale, fresh):
            with pytest.raises(PersonMerged):
                operation(person)
    with pytest.raises(PersonMerged):
        identification.verify(fakes.photo(2), person=fresh, actor=STAFF)
    assert Person.objects.get(pk=merged_person.pk).status == "merged"
    assert photos_of(merged_person) == set()
    assert len(stored_files()) == len(files) + 1  # written before the merge was noticed; to be purged


def test_no_face_can_be_chosen_in_a_photo_that_stayed_with_a_merged_person(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2)
    photo = enrolment.submit(merged_person, fakes.photo(2, 3), actor=STAFF).photo
    enrolment.enrol(photo.pk)
    merging.merge(kept_person, merged_person, actor=STAFF)
    Photo.objects.filter(pk=photo.pk).update(person=merged_person)
    with pytest.raises(PersonMerged):
        enrolment.choose_face(photo, Box(0, 0, 160, 160), actor=STAFF)
    assert Photo.objects.get(pk=photo.pk).status == Photo.Status.REJECTED


def test_withdrawing_a_photo_also_deletes_it_from_the_merged_record(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept_person, merged_person = enrolled(1, 1, 2), enrolled(1, 2)
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    twin = Photo.objects.get(person=merged_person)
    enrolment.withdraw(Photo.objects.get(person=kept_person, sha256=twin.sha256), actor=STAFF)
    assert photos_of(merged_person) == set()
    work()
    assert len(stored_files()) == 1
    merging.undo(merge, actor=STAFF)
    assert not MeanTemplate.objects.filter(person=merged_person).exists()


@pytest.mark.parametrize("erased_record", ["kept", "merged", "merged twice"])
def test_erasing_any_of_the_merged_records_erases_all_of_them(
    collection: Collection, enrolled: Enrol, work: Callable[[], None], erased_record: str
) -> None:
    kept_person, merged_person, third, stranger = (
        enrolled(1, 1, 2),
        enrolled(1, 2, 3),
        enrolled(3),
        enrolled(4),
    )
    merging.merge(merged_person, third, actor=STAFF)
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    erased_person = {"kept": kept_person, "merged": merged_person, "merged twice": third}[erased_record]
    receipt = erasure.erase(erased_person, actor=STAFF)
    assert (receipt.person_id, receipt.photos, receipt.templates) == (erased_person.pk, 5, 5)
    assert list(Person.objects.all()) == [stranger]
    assert {photo.person for photo in Photo.objects.all()} == {stranger}
    assert Erasure.objects.count() == 1
    assert candidates(collection, 1) == []
    work()
    assert len(stored_files()) == 1
    assert Merge.objects.count() == 2
    with pytest.raises(MergedErased):
        merging.undo(merge, actor=STAFF)
    event = AuditEvent.objects.get(action="person.erased")
    assert set(event.details["merged"]) == {
        str(person.pk) for person in (kept_person, merged_person, third)
    } - {str(erased_person.pk)}


def test_after_an_undo_each_person_is_erased_separately(collection: Collection, enrolled: Enrol) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2)
    merging.undo(merging.merge(kept_person, merged_person, actor=STAFF), actor=STAFF)
    erasure.erase(merged_person, actor=STAFF)
    assert list(Person.objects.all()) == [kept_person]


def test_deleting_a_collection_also_erases_merged_people(collection: Collection, enrolled: Enrol) -> None:
    merging.merge(enrolled(1), enrolled(2), actor=STAFF)
    enrolled(3)
    assert erasure.erase_collection(collection, actor=STAFF) == 2
    assert not Person.objects.exists()


def test_duplicate_warnings_change_with_a_merge_and_its_undo(collection: Collection, enrolled: Enrol) -> None:
    first = enrolled(1, 1)
    second = enrolled(1, 2)
    third = enrolled(1, 3)

    def named_ids(person: Person) -> list[str]:
        photos = list(Photo.objects.filter(pk__in=photo_ids[person.pk]))
        current = photo_warnings.current(photos).values()
        return [warning["person"] for warnings in current for warning in warnings]

    photo_ids = {person.pk: photos_of(person) for person in (first, second, third)}
    assert named_ids(second) == [str(first.pk)]
    assert named_ids(third)[0] in {str(first.pk), str(second.pk)}
    merge = merging.merge(first, second, actor=STAFF)
    assert named_ids(second) == []
    assert named_ids(third) == [str(first.pk)]
    merging.undo(merge, actor=STAFF)
    assert named_ids(second) == [str(first.pk)]


def test_a_photo_more_similar_to_the_other_record_raises_no_warning_after_the_merge(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1, 1), enrolled(1, 2, 3)
    photo = Photo.objects.filter(person=merged_person).first()
    assert photo is not None
    near = {
        "code": "possible_duplicate_person",
        "person": str(kept_person.pk),
        "similarity": 98.1,
        "hint": "",
    }
    doubt = {"code": "LOW_MATCH_CONFIDENCE", "similarity": 97.8, "hint": ""}
    strange = {"code": "LOW_MATCH_CONFIDENCE", "similarity": 40.0, "hint": ""}
    photo.warnings = [near, doubt]
    assert photo_warnings.current([photo])[photo.pk] == [near, doubt]
    merging.merge(kept_person, merged_person, actor=STAFF)
    photo.person = kept_person
    assert photo_warnings.current([photo])[photo.pk] == []
    photo.warnings = [near, strange]
    assert photo_warnings.current([photo])[photo.pk] == [strange]


def test_retention_ignores_merged_people_and_counts_from_the_undo(
    collection: Collection, enrolled: Enrol
) -> None:
    collection.erase_unseen_after_days = 30
    collection.save()
    kept_person, merged_person = enrolled(1), enrolled(2)
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    Person.objects.filter(pk=merged_person.pk).update(last_interaction_at=ago(days=60))
    assert list(retention.due(collection)) == []
    merging.undo(merge, actor=STAFF)
    assert list(retention.due(collection)) == []
