"""Identify, verify and compare: who matches, who never does, and what the audit log records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from people import enrolment, erasure, extraction, identification
from people.decision import ThresholdChoice
from people.engines import get_engine
from people.errors import NoFaceFound, NotEnrolled, SeveralFacesFound
from people.extraction import Purpose
from people.faces import Chip, Vectors
from people.indexes import get_index
from people.indexes.embedded import EmbeddedIndex
from people.models import AuditEvent, Collection, Person, Template
from tests import fakes
from tests.actors import STAFF

Enrol = Callable[..., Person]


def _candidates(collection: Collection, *seeds: int | None, **options: Any) -> list[list[str]]:
    result = identification.identify(
        fakes.photo(*seeds, variation=9),
        collection=collection,
        actor=STAFF,
        **options,
    )
    return [[candidate.person.name for candidate in face.candidates] for face in result.faces]


def test_each_face_in_a_photo_matches_its_own_person(collection: Collection, enrolled: Enrol) -> None:
    for seed in range(1, 8):
        enrolled(seed)
    assert _candidates(collection, 5, 2) == [["Person 5"], ["Person 2"]]


def test_references_are_embedded_thoroughly_and_probes_quickly(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    thorough_calls: list[bool] = []
    embed = fakes.FakeEngine.embed

    def recorded_embed(
        engine: fakes.FakeEngine, chips: Sequence[Chip], *, thoroughly: bool = False
    ) -> Vectors:
        thorough_calls.append(thoroughly)
        return embed(engine, chips)

    monkeypatch.setattr(fakes.FakeEngine, "embed", recorded_embed)
    person = enrolled(1)
    assert thorough_calls == [True]
    identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    identification.verify(fakes.photo(1), person=person, actor=STAFF)
    assert thorough_calls == [True, False, False]


def test_a_stranger_matches_no_one(collection: Collection, enrolled: Enrol) -> None:
    enrolled(1)
    result = identification.identify(fakes.photo(99), collection=collection, actor=STAFF)
    (face,) = result.faces
    assert (face.decision, face.candidates) == ("no_match", [])


def test_candidates_below_the_threshold_are_listed_only_on_request(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1)
    result = identification.identify(fakes.photo(99), collection=collection, actor=STAFF, include_below=True)
    (candidate,) = result.faces[0].candidates
    assert candidate.score.match is False


def test_two_records_of_the_same_human_are_ambiguous(collection: Collection, enrolled: Enrol) -> None:
    enrolled(1, 1)
    enrolled(1, 2, name="Second record")
    result = identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    assert result.faces[0].decision == "ambiguous"
    assert len(result.faces[0].candidates) == 2


def test_identifying_a_photo_without_a_face_is_not_an_error(collection: Collection) -> None:
    assert identification.identify(fakes.photo(None), collection=collection, actor=STAFF).faces == []


def test_people_in_another_collection_never_match(collection: Collection, enrolled: Enrol) -> None:
    enrolled(1, into=Collection.objects.create(name="other"))
    assert _candidates(collection, 1, include_below=True) == [[]]


def test_an_erased_person_never_matches_even_while_still_in_the_index(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled(1)
    assert _candidates(collection, 1) == [["Person 1"]]
    index = get_index()
    assert isinstance(index, EmbeddedIndex)
    monkeypatch.setattr(index._engines["fake/1"], "catch_up", lambda: None)  # the index stops reading changes
    erasure.erase(person, actor=STAFF)
    assert index.nearest(probe_vectors(1), collection_id=collection.pk, engine="fake/1", limit=1).persons == [
        [person.pk]
    ]
    assert _candidates(collection, 1, include_below=True) == [[]]


def probe_vectors(seed: int) -> Vectors:
    engine = get_engine()
    return extraction.from_photo(fakes.photo(seed), engine, purpose=Purpose.PROBE).vectors


def test_a_suspended_person_does_not_match_until_activated_again(
    collection: Collection, enrolled: Enrol
) -> None:
    person = enrolled(1)
    assert _candidates(collection, 1) == [["Person 1"]]
    Person.objects.filter(pk=person.pk).update(status="suspended")
    assert _candidates(collection, 1) == [[]]
    Person.objects.filter(pk=person.pk).update(status="active")
    assert _candidates(collection, 1) == [["Person 1"]]


def test_a_person_whose_consent_has_expired_does_not_match_where_consent_is_required(
    collection: Collection, enrolled: Enrol
) -> None:
    now = timezone.now()
    enrolled(1, consent_given_at=now - timedelta(days=9), consent_expires_at=now - timedelta(days=1))
    enrolled(2, consent_given_at=now - timedelta(days=9))
    Collection.objects.update(requires_consent=True)
    assert _candidates(Collection.objects.get(), 1, 2) == [[], ["Person 2"]]


def test_suspended_people_do_not_displace_active_candidates(collection: Collection, enrolled: Enrol) -> None:
    for variation in range(1, 6):
        person = enrolled(1, variation, name=f"Suspended {variation}")
        Person.objects.filter(pk=person.pk).update(status="suspended")
    enrolled(1, 7, name="Active")
    assert _candidates(collection, 1, max_candidates=1) == [["Active"]]


def test_a_candidate_names_the_most_similar_photo(collection: Collection, enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2, 3)
    result = identification.identify(fakes.photo(1, variation=2), collection=collection, actor=STAFF)
    best = Template.objects.get(photo=result.faces[0].candidates[0].photo_id)
    assert best.person == person
    assert (
        best.photo.sha256 == enrolment.submit(person, fakes.photo(1, variation=2), actor=STAFF).photo.sha256
    )


def test_faces_beyond_max_faces_are_skipped_with_a_reason(collection: Collection) -> None:
    result = identification.identify(fakes.photo(1, 2, 3), collection=collection, actor=STAFF, max_faces=2)
    assert len(result.faces) == 2
    assert [reason.code for face in result.photo.skipped for reason in face.reasons] == ["EXCEEDS_MAX_FACES"]


def test_a_dark_face_is_skipped_with_its_reason_unless_quality_is_none(collection: Collection) -> None:
    probe = fakes.photo(1, dark=True)
    result = identification.identify(probe, collection=collection, actor=STAFF)
    assert result.faces == []
    assert "LOW_BRIGHTNESS" in [reason.code for face in result.photo.skipped for reason in face.reasons]
    assert (
        len(identification.identify(probe, collection=collection, actor=STAFF, quality_level="none").faces)
        == 1
    )


def test_the_collections_own_threshold_applies_unless_the_request_has_one(
    collection: Collection, enrolled: Enrol
) -> None:
    enrolled(1)
    collection.min_similarity = 100
    collection.save()
    assert _candidates(collection, 1) == [[]]
    assert _candidates(collection, 1, choice=ThresholdChoice(fmr=1e-4)) == [["Person 1"]]


def test_only_a_persons_own_face_verifies_them(enrolled: Enrol) -> None:
    person = enrolled(1, 1, 2)
    assert identification.verify(fakes.photo(1, variation=5), person=person, actor=STAFF).score.match is True
    assert identification.verify(fakes.photo(2), person=person, actor=STAFF).score.match is False


def test_a_verification_needs_a_single_face_or_a_choice_of_face(enrolled: Enrol) -> None:
    person = enrolled(1)
    with pytest.raises(NoFaceFound):
        identification.verify(fakes.photo(None), person=person, actor=STAFF)
    with pytest.raises(SeveralFacesFound):
        identification.verify(fakes.photo(2, 1), person=person, actor=STAFF)
    chosen = identification.verify(fakes.photo(2, 1), person=person, actor=STAFF, face=[160, 0, 160, 160])
    assert chosen.score.match is True


def test_a_suspended_person_is_never_verified(enrolled: Enrol) -> None:
    person = enrolled(1)
    Person.objects.update(status="suspended")
    with pytest.raises(NotEnrolled):
        identification.verify(fakes.photo(1), person=person, actor=STAFF)


def test_two_photos_are_compared_face_by_face(db: None) -> None:
    result = identification.compare(fakes.photo(1), fakes.photo(3, 1, variation=1), actor=STAFF)
    assert [face.score.match for face in result.faces] == [False, True]


def test_the_audit_of_a_search_contains_ids_and_no_name_or_vector(
    collection: Collection, enrolled: Enrol
) -> None:
    person = enrolled(1)
    identification.identify(fakes.photo(1), collection=collection, actor=STAFF)
    event = AuditEvent.objects.get(action="photo.identified")
    assert event.details == {"faces": 1, "matches": [str(person.pk)]}
    assert event.actor == "user:1"
