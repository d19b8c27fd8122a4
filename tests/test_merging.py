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


def found(collection: Collection, seed: int) -> list[Person]:
    """Return who a search for this face finds, best first."""
    result = identification.identify(fakes.photo(seed, variation=50), collection=collection, actor=STAFF)
    return [candidate.person for candidate in result.faces[0].candidates]


def photos_of(person: Person) -> set[Any]:
    return set(Photo.objects.filter(person=person).values_list("pk", flat=True))


def state() -> tuple[Any, ...]:
    """Return all that a merge and its undo together must leave as it was."""
    return (
        sorted(Person.objects.values_list("pk", "status", "merged_into", "name", "external_id")),
        sorted(Photo.objects.values_list("pk", "person", "file")),
        sorted(Template.objects.values_list("pk", "person")),
        sorted(
            (person, unpack(vector).round(4).tolist())
            for person, vector in MeanTemplate.objects.values_list("person", "vector")
        ),
    )


def test_the_kept_person_has_the_photos_of_both_and_is_found_by_them_at_once(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1, 1), enrolled(2, 2, 3)
    files = stored_files()
    assert found(collection, 2) == [other]
    merging.merge(kept, other, actor=STAFF)
    assert found(collection, 2) == found(collection, 1) == [kept]
    assert (len(photos_of(kept)), photos_of(other)) == (3, set())
    assert {template.person for template in Template.objects.all()} == {kept}
    assert MeanTemplate.objects.get().templates == 3
    assert gallery.enrolled(collection.pk, "fake/1") == 1
    assert stored_files() == files


def test_a_process_that_searched_before_the_merge_knows_of_it_at_once(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2)
    first = get_index()
    forget_index()
    second = get_index()
    probe = fakes.photo(2, variation=50)
    vectors = extraction.from_photo(probe, active_engine(), purpose=Purpose.REFERENCE).vectors

    def proposed() -> list[list[Any]]:
        asked: dict[str, Any] = {"collection_id": collection.pk, "engine": "fake/1", "limit": 5}
        return [index.nearest(vectors, **asked).persons[0] for index in (first, second)]

    assert proposed() == [[other.pk, kept.pk]] * 2
    done = merging.merge(kept, other, actor=STAFF)
    assert proposed() == [[kept.pk]] * 2
    merging.undo(done, actor=STAFF)
    assert proposed() == [[other.pk, kept.pk]] * 2


def test_an_undone_merge_leaves_everything_as_it_was(collection: Collection, enrolled: Enrol) -> None:
    kept = enrolled(1, 1, name="Ada", external_id="a")
    other = enrolled(2, 2, 3, name="Ada L.", external_id="b", metadata={"floor": 3})
    registration.save_person(_with(other, status="suspended"), actor=STAFF)
    before = state()
    done = merging.merge(kept, other, actor=STAFF)
    merged = Person.objects.get(pk=other.pk)
    assert (merged.status, merged.kept(), merged.name, merged.external_id) == ("merged", kept, "Ada L.", "b")
    merging.undo(done, actor=STAFF)
    assert state() == before
    with pytest.raises(UndoneAlready):
        merging.undo(done, actor=STAFF)


def _with(person: Person, **fields: Any) -> Person:
    person = Person.objects.get(pk=person.pk)
    for name, value in fields.items():
        setattr(person, name, value)
    return person


def test_what_was_enrolled_after_the_merge_stays_and_what_was_withdrawn_does_not_come_back(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2, 2, 3)
    first, second = Photo.objects.filter(person=other)
    done = merging.merge(kept, other, actor=STAFF)
    new = enrolment.submit(kept, fakes.photo(1, variation=7), actor=STAFF).photo
    enrolment.enrol(new.pk)
    enrolment.withdraw(first, actor=STAFF)
    merging.undo(done, actor=STAFF)
    assert photos_of(other) == {second.pk}
    assert new.pk in photos_of(kept)
    assert (
        MeanTemplate.objects.get(person=kept).templates,
        MeanTemplate.objects.get(person=other).templates,
    ) == (2, 1)


def test_a_photo_that_both_have_stays_where_it_is_and_counts_once(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1, 1, 2), enrolled(1, 2, 3)
    before = state()
    done = merging.merge(kept, other, actor=STAFF)
    assert len(done.photo_ids) == 1
    assert (len(photos_of(kept)), len(photos_of(other))) == (3, 1)
    assert [mean.person for mean in MeanTemplate.objects.all()] == [kept]
    merging.undo(done, actor=STAFF)
    assert state() == before


def test_a_withdrawn_photo_goes_from_the_merged_record_too(
    collection: Collection, enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept, other = enrolled(1, 1, 2), enrolled(1, 2)
    done = merging.merge(kept, other, actor=STAFF)
    twin = Photo.objects.get(person=other)
    enrolment.withdraw(Photo.objects.get(person=kept, sha256=twin.sha256), actor=STAFF)
    assert photos_of(other) == set()
    work()
    assert len(stored_files()) == 1
    merging.undo(done, actor=STAFF)
    assert not MeanTemplate.objects.filter(person=other).exists()


def test_a_refused_photo_makes_room_for_the_same_one_that_was_accepted(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    both = fakes.photo(2, 3)
    refused = enrolment.submit(kept, both, actor=STAFF).photo
    enrolment.enrol(refused.pk)
    accepted = enrolment.submit(other, both, actor=STAFF, face="largest").photo
    enrolment.enrol(accepted.pk)
    merging.merge(kept, other, actor=STAFF)
    assert accepted.pk in photos_of(kept)
    assert not Photo.objects.filter(pk=refused.pk).exists()


def test_a_photo_that_waits_for_the_worker_is_enrolled_for_the_kept_person(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(other, fakes.photo(1, variation=4), actor=STAFF).photo
    merging.merge(kept, other, actor=STAFF)
    enrolment.enrol(photo.pk)
    assert Template.objects.get(photo=photo).person == kept
    assert MeanTemplate.objects.get().templates == 2
    photo.refresh_from_db()
    assert photo.warnings == []


@pytest.mark.parametrize("undone", [False, True])
def test_a_merge_while_the_worker_looks_at_a_photo_is_noticed(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    kept, other = enrolled(1), Person.objects.create(collection=collection)
    photo = enrolment.submit(other, fakes.photo(1, variation=4), actor=STAFF).photo
    from_photo = extraction.from_photo

    def merge_meanwhile(*args: Any, **options: Any) -> Any:
        done = merging.merge(kept, other, actor=STAFF)
        if undone:
            merging.undo(done, actor=STAFF)
        return from_photo(*args, **options)

    monkeypatch.setattr(extraction, "from_photo", merge_meanwhile)
    enrolment.enrol(photo.pk)
    owner = other if undone else kept
    photo.refresh_from_db()
    assert (photo.status, photo.person) == (Photo.Status.ACCEPTED, owner)
    assert Template.objects.get(photo=photo).person == owner
    assert MeanTemplate.objects.get(person=kept).templates == (1 if undone else 2)
    assert MeanTemplate.objects.filter(person=other).exists() == undone
    assert [one["code"] for one in photo.warnings] == (["possible_duplicate_person"] if undone else [])


@pytest.mark.django_db(transaction=True)
def test_photos_merges_and_undos_at_the_same_time_leave_every_template_with_its_photo(
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

    def enrol(own: list[Photo]) -> None:
        for photo in own:
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


def test_merges_of_merged_people_move_everything_on_and_are_undone_in_reverse(
    collection: Collection, enrolled: Enrol
) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    start = state()
    inner = merging.merge(second, third, actor=STAFF)
    between = state()
    outer = merging.merge(first, second, actor=STAFF)
    assert len(photos_of(first)) == 3
    assert Person.objects.get(pk=third.pk).kept() == first
    assert found(collection, 3) == [first]
    with pytest.raises(UndoOutOfOrder) as refused:
        merging.undo(inner, actor=STAFF)
    assert refused.value.extra == {"merge": str(outer.pk)}
    merging.undo(outer, actor=STAFF)
    assert state() == between
    merging.undo(inner, actor=STAFF)
    assert state() == start
    assert found(collection, 3) == [third]


def test_two_merges_into_one_person_are_undone_in_reverse(collection: Collection, enrolled: Enrol) -> None:
    kept, second, third = enrolled(1), enrolled(2), enrolled(3)
    earlier = merging.merge(kept, second, actor=STAFF)
    later = merging.merge(kept, third, actor=STAFF)
    with pytest.raises(UndoOutOfOrder):
        merging.undo(earlier, actor=STAFF)
    merging.undo(later, actor=STAFF)
    merging.undo(earlier, actor=STAFF)
    assert not Person.objects.filter(status="merged").exists()


def test_who_can_not_be_merged(collection: Collection, enrolled: Enrol) -> None:
    elsewhere = Collection.objects.create(name="elsewhere")
    here, there, other, third = enrolled(1), enrolled(1, into=elsewhere), enrolled(2), enrolled(3)
    for two in ((here, here), (here, there)):
        with pytest.raises(NotMergeable):
            merging.merge(*two, actor=STAFF)
    merging.merge(here, other, actor=STAFF)
    for two in ((other, third), (third, other)):
        with pytest.raises(PersonMerged) as refused:
            merging.merge(*two, actor=STAFF)
        assert refused.value.extra == {"kept": str(here.pk)}
    erasure.erase(third, actor=STAFF)
    with pytest.raises(Person.DoesNotExist):
        merging.merge(here, third, actor=STAFF)
    assert Merge.objects.count() == 1


def test_nothing_is_enrolled_changed_or_verified_under_a_merged_person(enrolled: Enrol) -> None:
    kept, other = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=other.pk)
    merging.merge(kept, other, actor=STAFF)
    fresh = Person.objects.get(pk=other.pk)
    files = stored_files()
    doors: list[Callable[[Person], Any]] = [
        lambda person: enrolment.submit(person, fakes.photo(2, variation=8), actor=STAFF),
        lambda person: registration.save_person(person, actor=STAFF),
    ]
    for door in doors:
        for person in (stale, fresh):
            with pytest.raises(PersonMerged):
                door(person)
    with pytest.raises(PersonMerged):
        identification.verify(fakes.photo(2), person=fresh, actor=STAFF)
    assert Person.objects.get(pk=other.pk).status == "merged"
    assert photos_of(other) == set()
    assert len(stored_files()) == len(files) + 1  # written before the merge was seen, and to be purged


def test_a_photo_sent_while_its_person_is_merged_leaves_no_file(
    enrolled: Enrol, work: Callable[[], None]
) -> None:
    kept, other = enrolled(1), enrolled(2)
    stale = Person.objects.get(pk=other.pk)
    merging.merge(kept, other, actor=STAFF)
    with pytest.raises(PersonMerged):
        enrolment.submit(stale, fakes.photo(2, variation=8), actor=STAFF)
    work()
    assert len(stored_files()) == 2


def test_nobody_is_merged_by_a_change_of_status(enrolled: Enrol) -> None:
    person = enrolled(1)
    with pytest.raises(ValidationError):
        registration.save_person(_with(person, status="merged"), actor=STAFF)
    with pytest.raises(ValidationError):
        registration.save_person(Person(collection=person.collection, status="merged"), actor=STAFF)


@pytest.mark.parametrize("named", ["kept", "merged", "merged twice"])
def test_erasing_any_of_the_merged_erases_the_human(
    collection: Collection, enrolled: Enrol, work: Callable[[], None], named: str
) -> None:
    kept, other, third, stranger = enrolled(1, 1, 2), enrolled(1, 2, 3), enrolled(3), enrolled(4)
    merging.merge(other, third, actor=STAFF)
    done = merging.merge(kept, other, actor=STAFF)
    asked = {"kept": kept, "merged": other, "merged twice": third}[named]
    receipt = erasure.erase(asked, actor=STAFF)
    assert (receipt.person_id, receipt.photos, receipt.templates) == (asked.pk, 5, 5)
    assert list(Person.objects.all()) == [stranger]
    assert {photo.person for photo in Photo.objects.all()} == {stranger}
    assert Erasure.objects.count() == 1
    assert found(collection, 1) == []
    work()
    assert len(stored_files()) == 1
    assert Merge.objects.count() == 2
    with pytest.raises(MergedErased):
        merging.undo(done, actor=STAFF)
    event = AuditEvent.objects.get(action="person.erased")
    assert set(event.details["merged"]) == {str(one.pk) for one in (kept, other, third)} - {str(asked.pk)}


def test_after_an_undo_each_is_erased_alone(collection: Collection, enrolled: Enrol) -> None:
    kept, other = enrolled(1), enrolled(2)
    merging.undo(merging.merge(kept, other, actor=STAFF), actor=STAFF)
    erasure.erase(other, actor=STAFF)
    assert list(Person.objects.all()) == [kept]


def test_deleting_a_collection_erases_merged_people_too(collection: Collection, enrolled: Enrol) -> None:
    merging.merge(enrolled(1), enrolled(2), actor=STAFF)
    enrolled(3)
    assert erasure.erase_collection(collection, actor=STAFF) == 2
    assert not Person.objects.exists()


def test_warnings_of_a_duplicate_follow_the_merge_and_its_undo(
    collection: Collection, enrolled: Enrol
) -> None:
    first = enrolled(1, 1)
    second = enrolled(1, 2)
    third = enrolled(1, 3)

    def warned(person: Person) -> list[str]:
        photos = list(Photo.objects.filter(pk__in=own[person.pk]))
        return [one["person"] for many in photo_warnings.current(photos).values() for one in many]

    own = {person.pk: photos_of(person) for person in (first, second, third)}
    assert warned(second) == [str(first.pk)]
    assert warned(third)[0] in {str(first.pk), str(second.pk)}
    done = merging.merge(first, second, actor=STAFF)
    assert warned(second) == []
    assert warned(third) == [str(first.pk)]
    merging.undo(done, actor=STAFF)
    assert warned(second) == [str(first.pk)]


def test_a_photo_that_was_nearer_to_the_other_record_is_no_longer_doubted(
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


def test_the_audit_tells_ids_and_counts_only(enrolled: Enrol) -> None:
    kept, other = enrolled(1, name="Ada"), enrolled(2, 1, 2, name="Lovelace")
    done = merging.merge(kept, other, actor=STAFF)
    merging.undo(done, actor=STAFF)
    for action in ("person.merged", "merge.undone"):
        event = AuditEvent.objects.get(action=action)
        assert (event.actor, event.object_id) == ("user:1", str(kept.pk))
        assert event.details == {"merge": str(done.pk), "merged": str(other.pk), "photos": 2}
    assert audit.first_broken() is None


def test_a_merged_person_is_not_judged_by_retention_and_is_seen_again_with_the_undo(
    collection: Collection, enrolled: Enrol
) -> None:
    collection.erase_unseen_after_days = 30
    collection.save()
    kept, other = enrolled(1), enrolled(2)
    done = merging.merge(kept, other, actor=STAFF)
    Person.objects.filter(pk=other.pk).update(last_interaction_at=timezone.now() - timedelta(days=60))
    assert list(retention.due(collection)) == []
    merging.undo(done, actor=STAFF)
    assert list(retention.due(collection)) == []


@pytest.mark.django_db(transaction=True)
def test_merges_undos_and_erasures_at_the_same_time_erase_nobody_by_half() -> None:
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
        done = merging.merge(second, third, actor=STAFF)
        parts: list[Callable[[], Any]] = [
            partial(merging.merge, first, second, actor=STAFF),
            partial(erasure.erase, third, actor=STAFF),
            partial(merging.undo, done, actor=STAFF),
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
    assert dict(means) == {one.pk: one.templates.count() for one in Person.objects.filter(status="active")}


def test_no_face_is_chosen_on_a_photo_that_stayed_with_a_merged_person(
    collection: Collection, enrolled: Enrol
) -> None:
    kept, other = enrolled(1), enrolled(2)
    stayed = enrolment.submit(other, fakes.photo(2, 3), actor=STAFF).photo
    enrolment.enrol(stayed.pk)
    merging.merge(kept, other, actor=STAFF)
    Photo.objects.filter(pk=stayed.pk).update(person=other)
    with pytest.raises(PersonMerged):
        enrolment.choose_face(stayed, Box(0, 0, 160, 160), actor=STAFF)
    assert Photo.objects.get(pk=stayed.pk).status == Photo.Status.REJECTED
