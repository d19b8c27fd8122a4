"""Enrolment turns a submitted photo into a template and a mean template, or rejects it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import Storage
from django.db import connection
from django.utils import timezone

from people import enrolment, erasure, photo_warnings, tasks
from people.errors import ConsentMissing, NotAnImage
from people.models import AuditEvent, Collection, MeanTemplate, OutboxEntry, Person, Photo, Template
from people.models.photo import photo_storage
from people.models.template import unpack
from tests import fakes
from tests.actors import STAFF
from tests.stored_files import stored_files
from tests.times import ago


@pytest.fixture
def person(collection: Collection) -> Person:
    return Person.objects.create(collection=collection, name="Ada")


def _enrol(person: Person, data: bytes, **options: Any) -> Photo:
    photo = enrolment.submit(person, data, actor=STAFF, **options).photo
    enrolment.enrol(photo.pk)
    photo.refresh_from_db()
    return photo


def test_a_submitted_photo_is_stored_and_queued_for_the_worker(
    person: Person, work: Callable[[], None], django_capture_on_commit_callbacks: Any, messages: list[int]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    assert photo.status == Photo.Status.PENDING
    assert stored_files() == [photo.file.name]
    assert messages == [OutboxEntry.objects.get(photo_id=photo.pk).pk]
    work()
    photo.refresh_from_db()
    assert photo.status == Photo.Status.ACCEPTED
    assert OutboxEntry.objects.get(photo_id=photo.pk).done_at is not None


def test_a_photos_file_name_reveals_nothing_about_the_person(person: Person) -> None:
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    assert photo.file.name == f"{person.collection_id}/{photo.pk}.jpg"


def test_a_template_has_its_engine_and_unit_length(person: Person) -> None:
    photo = _enrol(person, fakes.photo(1))
    template = Template.objects.get(photo=photo)
    assert template.engine == "fake/1"
    assert np.linalg.norm(unpack(template.vector)) == pytest.approx(1, abs=1e-6)
    assert template.box == {"left": 0, "top": 0, "width": 160, "height": 160}


def test_the_mean_template_is_the_mean_of_all_accepted_photos_and_changes_with_a_withdrawal(
    person: Person,
) -> None:
    first, second = (_enrol(person, fakes.photo(1, variation=v)) for v in (1, 2))
    vectors = [unpack(template.vector) for template in Template.objects.order_by("created_at")]
    mean = MeanTemplate.objects.get(person=person)
    assert mean.templates == 2
    expected = np.mean(vectors, axis=0)
    np.testing.assert_allclose(unpack(mean.vector), expected / np.linalg.norm(expected), atol=1e-6)
    enrolment.withdraw(first, actor=STAFF)
    np.testing.assert_allclose(unpack(MeanTemplate.objects.get(person=person).vector), vectors[1], atol=1e-6)
    enrolment.withdraw(second, actor=STAFF)
    assert not MeanTemplate.objects.exists()


def test_the_same_photo_is_not_enrolled_twice_for_one_person(person: Person) -> None:
    first = enrolment.submit(person, fakes.photo(1), actor=STAFF)
    second = enrolment.submit(person, fakes.photo(1), actor=STAFF)
    assert (first.created, second.created) == (True, False)
    assert first.photo == second.photo
    assert len(stored_files()) == 1


def test_a_rejected_photo_can_be_submitted_again(person: Person, work: Callable[[], None]) -> None:
    rejected = _enrol(person, fakes.photo(1, 2))
    assert rejected.status == Photo.Status.REJECTED
    accepted = _enrol(person, fakes.photo(1, 2), face=[160, 0, 160, 160])
    assert accepted.status == Photo.Status.ACCEPTED
    work()
    assert stored_files() == [accepted.file.name]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (fakes.photo(None), "no_face"),
        (fakes.photo(1, 2, 3, 4, 5), "several_faces"),
        (fakes.photo(1, dark=True), "poor_quality"),
    ],
)
def test_a_rejection_is_recorded_with_its_code_and_no_template_is_stored(
    person: Person, data: bytes, code: str
) -> None:
    photo = _enrol(person, data)
    assert photo.status == Photo.Status.REJECTED
    assert photo.rejection is not None
    assert photo.rejection["code"] == code
    assert not Template.objects.exists()
    assert not MeanTemplate.objects.exists()


def test_poor_quality_is_reported_with_the_measured_value_the_limit_and_a_hint(person: Person) -> None:
    photo = _enrol(person, fakes.photo(1, dark=True))
    assert photo.rejection is not None
    assert photo.rejection["face"] == {"left": 0, "top": 0, "width": 160, "height": 160}
    codes = {reason["code"] for reason in photo.rejection["reasons"]}
    assert "LOW_BRIGHTNESS" in codes
    assert all({"measured", "required", "hint"} <= set(reason) for reason in photo.rejection["reasons"])


def test_several_faces_are_listed_so_that_one_can_be_chosen(person: Person) -> None:
    photo = _enrol(person, fakes.photo(1, 2))
    assert photo.rejection is not None
    assert [face["left"] for face in photo.rejection["faces"]] == [0, 160]


def test_bytes_that_are_not_an_image_leave_nothing_behind(person: Person) -> None:
    with pytest.raises(NotAnImage):
        enrolment.submit(person, b"not an image", actor=STAFF)
    assert (Photo.objects.count(), OutboxEntry.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)
    assert stored_files() == []


def test_a_collection_that_requires_consent_enrols_only_people_with_consent(collection: Collection) -> None:
    collection.requires_consent = True
    collection.save()
    person = Person.objects.create(collection=collection)
    with pytest.raises(ConsentMissing):
        enrolment.submit(person, fakes.photo(1), actor=STAFF)
    person.consent_given_at = ago(days=2)
    person.consent_expires_at = ago(days=1)
    with pytest.raises(ConsentMissing):
        enrolment.submit(person, fakes.photo(1), actor=STAFF)
    person.consent_expires_at = None
    assert _enrol(person, fakes.photo(1)).status == Photo.Status.ACCEPTED


def test_enrolling_a_person_who_looks_like_another_warns_of_a_duplicate(
    enrolled: Callable[..., Person], person: Person
) -> None:
    similar_person = enrolled(7)
    photo = _enrol(person, fakes.photo(7, variation=1))
    assert photo.status == Photo.Status.ACCEPTED
    (warning,) = photo.warnings
    assert (warning["code"], warning["person"]) == ("possible_duplicate_person", str(similar_person.pk))


def test_a_photo_of_someone_else_warns_that_it_may_not_be_this_person(
    enrolled: Callable[..., Person],
) -> None:
    person = enrolled(1, 0, 1)
    (warning,) = _enrol(person, fakes.photo(2)).warnings
    assert warning["code"] == "LOW_MATCH_CONFIDENCE"
    assert warning["similarity"] < photo_warnings.SURE_SIMILARITY
    assert warning["hint"] == photo_warnings.UNLIKE_OWN_PHOTOS


def test_a_photo_that_looks_even_more_like_another_person_says_so(enrolled: Callable[..., Person]) -> None:
    person = enrolled(1)
    other = enrolled(1, 3)
    duplicate, warning = _enrol(person, fakes.photo(1, variation=3)).warnings
    assert duplicate["person"] == str(other.pk)
    assert warning["code"] == "LOW_MATCH_CONFIDENCE"
    assert warning["similarity"] >= photo_warnings.SURE_SIMILARITY
    assert warning["hint"] == photo_warnings.CLOSER_TO_ANOTHER


def test_another_photo_of_the_same_person_raises_no_warning(enrolled: Callable[..., Person]) -> None:
    person = enrolled(1)
    enrolled(2)
    assert _enrol(person, fakes.photo(1, variation=3)).warnings == []


def test_enrolling_a_photo_twice_creates_one_template(person: Person) -> None:
    photo = _enrol(person, fakes.photo(1))
    enrolment.enrol(photo.pk)
    assert Template.objects.count() == 1


def test_a_pending_photo_of_an_erased_person_is_not_enrolled(
    person: Person, work: Callable[[], None]
) -> None:
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    erasure.erase(person, actor=STAFF)
    enrolment.enrol(photo.pk)
    work()
    assert not Template.objects.exists()
    assert stored_files() == []


def test_a_submission_for_a_person_erased_in_the_meantime_leaves_no_file(
    person: Person, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    save = Storage.save

    def erase_then_save(self: Storage, *args: Any, **kwargs: Any) -> str:
        erasure.erase(person, actor=STAFF)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Storage, "save", erase_then_save)
    with pytest.raises(Person.DoesNotExist):
        enrolment.submit(person, fakes.photo(1), actor=STAFF)
    work()
    assert stored_files() == []


def test_an_enrolment_that_keeps_failing_is_retried_and_finally_rejects_the_photo(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = enrolment.submit(person, fakes.photo(1), actor=STAFF).photo
    assert photo.file.name is not None
    photo_storage().delete(photo.file.name)
    entry = OutboxEntry.objects.get(photo_id=photo.pk)
    for attempt in range(1, 11):
        tasks.deliver(entry.pk)
        entry.refresh_from_db()
        assert (entry.attempts, entry.last_error, entry.done_at) == (attempt, "FileNotFoundError", None)
        # after the last attempt it stays due, which makes it a failed task
        assert (entry.due_at > timezone.now()) == (attempt < 10)
        tasks.deliver(entry.pk)  # not due yet
        OutboxEntry.objects.filter(pk=entry.pk).update(due_at=timezone.now())
    photo.refresh_from_db()
    assert photo.rejection is not None
    assert photo.rejection["code"] == "processing_failed"
    entry.refresh_from_db()
    assert entry.attempts == 10


def test_a_sweep_stops_at_its_time_limit_and_the_next_one_continues(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(3):
        enrolment.submit(person, fakes.photo(1, variation=variation), actor=STAFF)
    monkeypatch.setattr(tasks, "SECONDS", -1)
    pending = []
    for _ in range(3):
        tasks.sweep()
        pending.append(Photo.objects.filter(status=Photo.Status.PENDING).count())
    assert pending == [2, 1, 0]


@pytest.mark.django_db(transaction=True)
def test_photos_of_a_person_enrolled_concurrently_all_count_in_the_mean_template() -> None:
    collection = Collection.objects.create(name="default")
    person = Person.objects.create(collection=collection)
    photos = [enrolment.submit(person, fakes.photo(1, variation=v), actor=STAFF).photo for v in range(6)]

    def enrol(photo: Photo) -> None:
        enrolment.enrol(photo.pk)
        connection.close()

    threads = [threading.Thread(target=enrol, args=[photo]) for photo in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert MeanTemplate.objects.get(person=person).templates == 6
