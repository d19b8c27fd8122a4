"""Merging two records of the same human, and undoing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from people import audit, enrolment, erasure, extraction, gallery, merging, registration
from people.active_engine import active_engine
from people.errors import NotMergeable, PersonMerged, UndoneAlready, UndoOutOfOrder
from people.extraction import Purpose
from people.indexes import forget_index, get_index
from people.models import AuditEvent, Collection, MeanTemplate, Merge, Person, Photo, Template
from people.models.template import unpack
from tests import fakes
from tests.actors import STAFF
from tests.merged_records import candidates, photos_of
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


def _state() -> tuple[Any, ...]:
    """Return everything that must be unchanged after a merge and its undo."""
    return (
        sorted(Person.objects.values_list("pk", "status", "merged_into", "name", "external_id")),
        sorted(Photo.objects.values_list("pk", "person", "file")),
        sorted(Template.objects.values_list("pk", "person")),
        sorted(
            (person, unpack(vector).round(4).tolist())
            for person, vector in MeanTemplate.objects.values_list("person", "vector")
        ),
    )


def _changed(person: Person, **fields: Any) -> Person:
    """Return the person as stored, with these fields set but not saved."""
    person = Person.objects.get(pk=person.pk)
    for name, value in fields.items():
        setattr(person, name, value)
    return person


def test_the_kept_person_immediately_has_and_matches_the_photos_of_both(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1, 1), enrolled(2, 2, 3)
    files = stored_files()
    assert candidates(collection, 2) == [merged_person]
    merging.merge(kept_person, merged_person, actor=STAFF)
    assert candidates(collection, 2) == candidates(collection, 1) == [kept_person]
    assert (len(photos_of(kept_person)), photos_of(merged_person)) == (3, set())
    assert {template.person for template in Template.objects.all()} == {kept_person}
    assert MeanTemplate.objects.get().templates == 3
    assert gallery.enrolled(collection.pk, "fake/1") == 1
    assert stored_files() == files


def test_a_process_that_searched_before_the_merge_sees_it_immediately(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2)
    first = get_index()
    forget_index()
    second = get_index()
    probe = fakes.photo(2, variation=50)
    vectors = extraction.from_photo(probe, active_engine(), purpose=Purpose.REFERENCE).vectors

    def proposed() -> list[list[Any]]:
        options: dict[str, Any] = {"collection_id": collection.pk, "engine": "fake/1", "limit": 5}
        return [index.nearest(vectors, **options).persons[0] for index in (first, second)]

    assert proposed() == [[merged_person.pk, kept_person.pk]] * 2
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    assert proposed() == [[kept_person.pk]] * 2
    merging.undo(merge, actor=STAFF)
    assert proposed() == [[merged_person.pk, kept_person.pk]] * 2


def test_undoing_a_merge_restores_everything(collection: Collection, enrolled: Enrol) -> None:
    kept_person = enrolled(1, 1, name="Ada", external_id="a")
    merged_person = enrolled(2, 2, 3, name="Ada L.", external_id="b", metadata={"floor": 3})
    registration.save_person(_changed(merged_person, status="suspended"), actor=STAFF)
    before = _state()
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    merged_person.refresh_from_db()
    assert (merged_person.status, merged_person.kept()) == ("merged", kept_person)
    assert (merged_person.name, merged_person.external_id) == ("Ada L.", "b")
    merging.undo(merge, actor=STAFF)
    assert _state() == before
    with pytest.raises(UndoneAlready):
        merging.undo(merge, actor=STAFF)


def test_an_undo_keeps_photos_enrolled_since_the_merge_and_does_not_restore_withdrawn_ones(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1), enrolled(2, 2, 3)
    first, second = Photo.objects.filter(person=merged_person)
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    new = enrolment.submit(kept_person, fakes.photo(1, variation=7), actor=STAFF).photo
    enrolment.enrol(new.pk)
    enrolment.withdraw(first, actor=STAFF)
    merging.undo(merge, actor=STAFF)
    assert photos_of(merged_person) == {second.pk}
    assert new.pk in photos_of(kept_person)
    assert MeanTemplate.objects.get(person=kept_person).templates == 2
    assert MeanTemplate.objects.get(person=merged_person).templates == 1


def test_a_photo_that_both_people_have_is_not_moved_and_counts_once(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1, 1, 2), enrolled(1, 2, 3)
    before = _state()
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    assert len(merge.photo_ids) == 1
    assert (len(photos_of(kept_person)), len(photos_of(merged_person))) == (3, 1)
    assert [mean.person for mean in MeanTemplate.objects.all()] == [kept_person]
    merging.undo(merge, actor=STAFF)
    assert _state() == before


def test_a_rejected_photo_is_replaced_by_the_same_photo_that_was_accepted(
    collection: Collection, enrolled: Enrol
) -> None:
    kept_person, merged_person = enrolled(1), Person.objects.create(collection=collection)
    data = fakes.photo(2, 3)
    rejected = enrolment.submit(kept_person, data, actor=STAFF).photo
    enrolment.enrol(rejected.pk)
    accepted = enrolment.submit(merged_person, data, actor=STAFF, face="largest").photo
    enrolment.enrol(accepted.pk)
    merging.merge(kept_person, merged_person, actor=STAFF)
    assert accepted.pk in photos_of(kept_person)
    assert not Photo.objects.filter(pk=rejected.pk).exists()


def test_a_pending_photo_is_enrolled_for_the_kept_person(collection: Collection, enrolled: Enrol) -> None:
    kept_person, merged_person = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(merged_person, fakes.photo(1, variation=4), actor=STAFF).photo
    merging.merge(kept_person, merged_person, actor=STAFF)
    enrolment.enrol(photo.pk)
    assert Template.objects.get(photo=photo).person == kept_person
    assert MeanTemplate.objects.get().templates == 2
    photo.refresh_from_db()
    assert photo.warnings == []


def test_chained_merges_move_all_photos_and_are_undone_in_reverse(
    collection: Collection, enrolled: Enrol
) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    start = _state()
    inner = merging.merge(second, third, actor=STAFF)
    between = _state()
    outer = merging.merge(first, second, actor=STAFF)
    assert len(photos_of(first)) == 3
    assert Person.objects.get(pk=third.pk).kept() == first
    assert candidates(collection, 3) == [first]
    with pytest.raises(UndoOutOfOrder) as caught:
        merging.undo(inner, actor=STAFF)
    assert caught.value.extra == {"merge": str(outer.pk)}
    merging.undo(outer, actor=STAFF)
    assert _state() == between
    merging.undo(inner, actor=STAFF)
    assert _state() == start
    assert candidates(collection, 3) == [third]


def test_two_merges_into_one_person_are_undone_in_reverse(collection: Collection, enrolled: Enrol) -> None:
    kept_person, second, third = enrolled(1), enrolled(2), enrolled(3)
    earlier = merging.merge(kept_person, second, actor=STAFF)
    later = merging.merge(kept_person, third, actor=STAFF)
    with pytest.raises(UndoOutOfOrder):
        merging.undo(earlier, actor=STAFF)
    merging.undo(later, actor=STAFF)
    merging.undo(earlier, actor=STAFF)
    assert not Person.objects.filter(status="merged").exists()


def test_only_two_different_unmerged_people_of_one_collection_can_be_merged(
    collection: Collection, enrolled: Enrol
) -> None:
    elsewhere = Collection.objects.create(name="elsewhere")
    kept_person, merged_person, third = (enrolled(seed) for seed in (1, 2, 3))
    foreign = enrolled(1, into=elsewhere)
    for pair in ((kept_person, kept_person), (kept_person, foreign)):
        with pytest.raises(NotMergeable):
            merging.merge(*pair, actor=STAFF)
    merging.merge(kept_person, merged_person, actor=STAFF)
    for pair in ((merged_person, third), (third, merged_person)):
        with pytest.raises(PersonMerged) as caught:
            merging.merge(*pair, actor=STAFF)
        assert caught.value.extra == {"kept": str(kept_person.pk)}
    erasure.erase(third, actor=STAFF)
    with pytest.raises(Person.DoesNotExist):
        merging.merge(kept_person, third, actor=STAFF)
    assert Merge.objects.count() == 1


def test_a_persons_status_cannot_be_set_to_merged(enrolled: Enrol) -> None:
    person = enrolled(1)
    with pytest.raises(ValidationError):
        registration.save_person(_changed(person, status="merged"), actor=STAFF)
    with pytest.raises(ValidationError):
        registration.save_person(Person(collection=person.collection, status="merged"), actor=STAFF)


def test_the_audit_contains_ids_and_counts_only(enrolled: Enrol) -> None:
    kept_person, merged_person = enrolled(1, name="Ada"), enrolled(2, 1, 2, name="Lovelace")
    merge = merging.merge(kept_person, merged_person, actor=STAFF)
    merging.undo(merge, actor=STAFF)
    for action in ("person.merged", "merge.undone"):
        event = AuditEvent.objects.get(action=action)
        assert (event.actor, event.object_id) == ("user:1", str(kept_person.pk))
        assert event.details == {"merge": str(merge.pk), "merged": str(merged_person.pk), "photos": 2}
    assert audit.first_broken() is None
