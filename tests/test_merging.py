"""Merging two records of the same human, undoing it, and what else it affects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from people import (
    audit,
    enrolment,
    erasure,
    extraction,
    gallery,
    identification,
    merging,
    photo_warnings,
    registration,
    retention,
)
from people.active_engine import active_engine
from people.errors import (
    MergedErased,
    NotMergeable,
    PersonMerged,
    UndoneAlready,
    UndoOutOfOrder,
)
from people.extraction import Purpose
from people.faces import Box
from people.indexes import forget_index, get_index
from people.models import AuditEvent, Collection, Erasure, MeanTemplate, Merge, Person, Photo, Template
from people.models.template import unpack
from tests import fakes
from tests.actors import STAFF
from tests.stored_files import stored_files

Enrol = Callable[..., Person]


def candidates(collection: Collection, seed: int) -> list[Person]:
    """Return the people who match this face, best first."""
    result = identification.identify(fakes.photo(seed, variation=50), collection=collection, actor=STAFF)
    return [candidate.person for candidate in result.faces[0].candidates]


def photos_of(person: Person) -> set[Any]:
    return set(Photo.objects.filter(person=person).values_list("pk", flat=True))


def state() -> tuple[Any, ...]:
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


def test_the_kept_person_immediately_has_and_matches_the_photos_of_both(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1, 1), enrolled(2, 2, 3)
    files = stored_files()
    assert candidates(collection, 2) == [other]
    merging.merge(kept, other, actor=STAFF)
    assert candidates(collection, 2) == candidates(collection, 1) == [kept]
    assert (len(photos_of(kept)), photos_of(other)) == (3, set())
    assert {template.person for template in Template.objects.all()} == {kept}
    assert MeanTemplate.objects.get().templates == 3
    assert gallery.enrolled(collection.pk, "fake/1") == 1
    assert stored_files() == files


def test_a_process_that_searched_before_the_merge_sees_it_immediately(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2)
    first = get_index()
    forget_index()
    second = get_index()
    probe = fakes.photo(2, variation=50)
    vectors = extraction.from_photo(probe, active_engine(), purpose=Purpose.REFERENCE).vectors

    def proposed() -> list[list[Any]]:
        options: dict[str, Any] = {"collection_id": collection.pk, "engine": "fake/1", "limit": 5}
        return [index.nearest(vectors, **options).persons[0] for index in (first, second)]

    assert proposed() == [[other.pk, kept.pk]] * 2
    merge = merging.merge(kept, other, actor=STAFF)
    assert proposed() == [[kept.pk]] * 2
    merging.undo(merge, actor=STAFF)
    assert proposed() == [[other.pk, kept.pk]] * 2


def test_undoing_a_merge_restores_everything(collection: Collection, enrolled: Enrol) -> None:
    kept = enrolled(1, 1, name="Ada", external_id="a")
    other = enrolled(2, 2, 3, name="Ada L.", external_id="b", metadata={"floor": 3})
    registration.save_person(_with(other, status="suspended"), actor=STAFF)
    before = state()
    merge = merging.merge(kept, other, actor=STAFF)
    merged = Person.objects.get(pk=other.pk)
    assert (merged.status, merged.kept(), merged.name, merged.external_id) == ("merged", kept, "Ada L.", "b")
    merging.undo(merge, actor=STAFF)
    assert state() == before
    with pytest.raises(UndoneAlready):
        merging.undo(merge, actor=STAFF)


def _with(person: Person, **fields: Any) -> Person:
    person = Person.objects.get(pk=person.pk)
    for name, value in fields.items():
        setattr(person, name, value)
    return person


def test_an_undo_keeps_photos_enrolled_since_the_merge_and_does_not_restore_withdrawn_ones(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2, 2, 3)
    first, second = Photo.objects.filter(person=other)
    merge = merging.merge(kept, other, actor=STAFF)
    new = enrolment.submit(kept, fakes.photo(1, variation=7), actor=STAFF).photo
    enrolment.enrol(new.pk)
    enrolment.withdraw(first, actor=STAFF)
    merging.undo(merge, actor=STAFF)
    assert photos_of(other) == {second.pk}
    assert new.pk in photos_of(kept)
    assert (
        MeanTemplate.objects.get(person=kept).templates,
        MeanTemplate.objects.get(person=other).templates,
    ) == (2, 1)


def test_a_photo_that_both_people_have_is_not_moved_and_counts_once(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1, 1, 2), enrolled(1, 2, 3)
    before = state()
    merge = merging.merge(kept, other, actor=STAFF)
    assert len(merge.photo_ids) == 1
    assert (len(photos_of(kept)), len(photos_of(other))) == (3, 1)
    assert [mean.person for mean in MeanTemplate.objects.all()] == [kept]
    merging.undo(merge, actor=STAFF)
    assert state() == before


def test_withdrawing_a_photo_also_deletes_it_from_the_merged_record(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept, other = enrolled(1, 1, 2), enrolled(1, 2)
    merge = merging.merge(kept, other, actor=STAFF)
    twin = Photo.objects.get(person=other)
    enrolment.withdraw(Photo.objects.get(person=kept, sha256=twin.sha256), actor=STAFF)
    assert photos_of(other) == set()
    work()
    assert len(stored_files()) == 1
    merging.undo(merge, actor=STAFF)
    assert not MeanTemplate.objects.filter(person=other).exists()


def test_a_rejected_photo_is_replaced_by_the_same_photo_that_was_accepted(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    data = fakes.photo(2, 3)
    rejected = enrolment.submit(kept, data, actor=STAFF).photo
    enrolment.enrol(rejected.pk)
    accepted = enrolment.submit(other, data, actor=STAFF, face="largest").photo
    enrolment.enrol(accepted.pk)
    merging.merge(kept, other, actor=STAFF)
    assert accepted.pk in photos_of(kept)
    assert not Photo.objects.filter(pk=rejected.pk).exists()


def test_a_pending_photo_is_enrolled_for_the_kept_person(collection: Collection, enrolled: Enrol) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(other, fakes.photo(1, variation=4), actor=STAFF).photo
    merging.merge(kept, other, actor=STAFF)
    enrolment.enrol(photo.pk)
    assert Template.objects.get(photo=photo).person == kept
    assert MeanTemplate.objects.get().templates == 2
    photo.refresh_from_db()
    assert photo.warnings == []


@pytest.mark.parametrize("undone", [False, True])
def test_a_merge_while_the_worker_processes_a_photo_is_taken_into_account(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(other, fakes.photo(1, variation=4), actor=STAFF).photo
    from_photo = extraction.from_photo

    def merge_first(*args: Any, **options: Any) -> Any:
        merge = merging.merge(kept, other, actor=STAFF)
        if undone:
            merging.undo(merge, actor=STAFF)
        return from_photo(*args, **options)

    monkeypatch.setattr(extraction, "from_photo", merge_first)
    enrolment.enrol(photo.pk)
    owner = other if undone else kept
    photo.refresh_from_db()
    assert (photo.status, photo.person) == (Photo.Status.ACCEPTED, owner)
    assert Template.objects.get(photo=photo).person == owner
    assert MeanTemplate.objects.get(person=kept).templates == (1 if undone else 2)
    assert MeanTemplate.objects.filter(person=other).exists() == undone
    assert [warning["code"] for warning in photo.warnings] == (
        ["possible_duplicate_person"] if undone else []
    )


@pytest.mark.django_db(transaction=True)
def test_concurrent_enrolments_merges_and_undos_leave_every_template_with_its_photo(
    enrolled: Enrol,
) -> None:
    kept = enrolled(1)
    collection = kept.collection
    other = Person.objects.create(collection=collection)
    photos = [enrolment.submit(other, fakes.photo(1, variation=v), actor=STAFF).photo for v in range(1, 9)]
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
            merging.undo(merging.merge(kept, other, actor=STAFF), actor=STAFF)
        merging.merge(kept, other, actor=STAFF)

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
    assert Photo.objects.filter(status=Photo.Status.ACCEPTED, person=kept).count() == 9
    assert {template.person_id for template in Template.objects.all()} == {kept.pk}
    assert MeanTemplate.objects.get().templates == 9


def test_chained_merges_move_all_photos_and_are_undone_in_reverse(
    collection: Collection, enrolled: Enrol
) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    start = state()
    inner = merging.merge(second, third, actor=STAFF)
    between = state()
    outer = merging.merge(first, second, actor=STAFF)
    assert len(photos_of(first)) == 3
    assert Person.objects.get(pk=third.pk).kept() == first
    assert candidates(collection, 3) == [first]
    with pytest.raises(UndoOutOfOrder) as caught:
        merging.undo(inner, actor=STAFF)
    assert caught.value.extra == {"merge": str(outer.pk)}
    merging.undo(outer, actor=STAFF)
    assert state() == between
    merging.undo(inner, actor=STAFF)
    assert state() == start
    assert candidates(collection, 3) == [third]


def test_two_merges_into_one_person_are_undone_in_reverse(collection: Collection, enrolled: Enrol) -> None:
    kept, second, third = enrolled(1), enrolled(2), enrolled(3)
    earlier = merging.merge(kept, second, actor=STAFF)
    later = merging.merge(kept, third, actor=STAFF)
    with pytest.raises(UndoOutOfOrder):
        merging.undo(earlier, actor=STAFF)
    merging.undo(later, actor=STAFF)
    merging.undo(earlier, actor=STAFF)
    assert not Person.objects.filter(status="merged").exists()


def test_only_two_different_unmerged_people_of_one_collection_can_be_merged(
    collection: Collection, enrolled: Enrol
) -> None:
    elsewhere = Collection.objects.create(name="elsewhere")
    kept, foreign, other, third = enrolled(1), enrolled(1, into=elsewhere), enrolled(2), enrolled(3)
    for pair in ((kept, kept), (kept, foreign)):
        with pytest.raises(NotMergeable):
            merging.merge(*pair, actor=STAFF)
    merging.merge(kept, other, actor=STAFF)
    for pair in ((other, third), (third, other)):
        with pytest.raises(PersonMerged) as caught:
            merging.merge(*pair, actor=STAFF)
        assert caught.value.extra == {"kept": str(kept.pk)}
    erasure.erase(third, actor=STAFF)
    with pytest.raises(Person.DoesNotExist):
        merging.merge(kept, third, actor=STAFF)
    assert Merge.objects.count() == 1


def test_a_merged_person_cannot_be_enrolled_changed_or_verified(enrolled: Enrol) -> None:
    kept, other = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=other.pk)
    merging.merge(kept, other, actor=STAFF)
    fresh = Person.objects.get(pk=other.pk)
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
    assert Person.objects.get(pk=other.pk).status == "merged"
    assert photos_of(other) == set()
    assert len(stored_files()) == len(files) + 1  # written before the merge was noticed; to be purged


def test_a_photo_submitted_while_its_person_is_merged_leaves_no_file(
    enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept, other = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=other.pk)
    merging.merge(kept, other, actor=STAFF)
    with pytest.raises(PersonMerged):
        enrolment.submit(stale, fakes.photo(2, variation=8), actor=STAFF)
    work()
    assert len(stored_files()) == 2


def test_a_persons_status_cannot_be_set_to_merged(enrolled: Enrol) -> None:
    person = enrolled(1)
    with pytest.raises(ValidationError):
        registration.save_person(_with(person, status="merged"), actor=STAFF)
    with pytest.raises(ValidationError):
        registration.save_person(Person(collection=person.collection, status="merged"), actor=STAFF)


@pytest.mark.parametrize("named", ["kept", "merged", "merged twice"])
def test_erasing_any_of_the_merged_records_erases_all_of_them(
    collection: Collection, enrolled: Enrol, work: Callable[[], None], named: str
) -> None:
    kept, other, third, stranger = enrolled(1, 1, 2), enrolled(1, 2, 3), enrolled(3), enrolled(4)
    merging.merge(other, third, actor=STAFF)
    merge = merging.merge(kept, other, actor=STAFF)
    named_person = {"kept": kept, "merged": other, "merged twice": third}[named]
    receipt = erasure.erase(named_person, actor=STAFF)
    assert (receipt.person_id, receipt.photos, receipt.templates) == (named_person.pk, 5, 5)
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
    assert set(event.details["merged"]) == {str(person.pk) for person in (kept, other, third)} - {
        str(named_person.pk)
    }


def test_after_an_undo_each_person_is_erased_separately(collection: Collection, enrolled: Enrol) -> None:
    kept, other = enrolled(1), enrolled(2)
    merging.undo(merging.merge(kept, other, actor=STAFF), actor=STAFF)
    erasure.erase(other, actor=STAFF)
    assert list(Person.objects.all()) == [kept]


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
    kept, other = enrolled(1, 1), enrolled(1, 2, 3)
    photo = Photo.objects.filter(person=other).first()
    assert photo is not None
    near = {"code": "possible_duplicate_person", "person": str(kept.pk), "similarity": 98.1, "hint": ""}
    doubt = {"code": "LOW_MATCH_CONFIDENCE", "similarity": 97.8, "hint": ""}
    strange = {"code": "LOW_MATCH_CONFIDENCE", "similarity": 40.0, "hint": ""}
    photo.warnings = [near, doubt]
    assert photo_warnings.current([photo])[photo.pk] == [near, doubt]
    merging.merge(kept, other, actor=STAFF)
    photo.person = kept
    assert photo_warnings.current([photo])[photo.pk] == []
    photo.warnings = [near, strange]
    assert photo_warnings.current([photo])[photo.pk] == [strange]


def test_the_audit_contains_ids_and_counts_only(enrolled: Enrol) -> None:
    kept, other = enrolled(1, name="Ada"), enrolled(2, 1, 2, name="Lovelace")
    merge = merging.merge(kept, other, actor=STAFF)
    merging.undo(merge, actor=STAFF)
    for action in ("person.merged", "merge.undone"):
        event = AuditEvent.objects.get(action=action)
        assert (event.actor, event.object_id) == ("user:1", str(kept.pk))
        assert event.details == {"merge": str(merge.pk), "merged": str(other.pk), "photos": 2}
    assert audit.first_broken() is None


def test_retention_ignores_merged_people_and_counts_from_the_undo(
    collection: Collection, enrolled: Enrol
) -> None:
    collection.erase_unseen_after_days = 30
    collection.save()
    kept, other = enrolled(1), enrolled(2)
    merge = merging.merge(kept, other, actor=STAFF)
    Person.objects.filter(pk=other.pk).update(last_interaction_at=timezone.now() - timedelta(days=60))
    assert list(retention.due(collection)) == []
    merging.undo(merge, actor=STAFF)
    assert list(retention.due(collection)) == []


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


def test_no_face_can_be_chosen_in_a_photo_that_stayed_with_a_merged_person(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2)
    photo = enrolment.submit(other, fakes.photo(2, 3), actor=STAFF).photo
    enrolment.enrol(photo.pk)
    merging.merge(kept, other, actor=STAFF)
    Photo.objects.filter(pk=photo.pk).update(person=other)
    with pytest.raises(PersonMerged):
        enrolment.choose_face(photo, Box(0, 0, 160, 160), actor=STAFF)
    assert Photo.objects.get(pk=photo.pk).status == Photo.Status.REJECTED
