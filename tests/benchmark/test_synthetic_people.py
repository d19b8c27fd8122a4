from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from benchmark import sample_photos
from benchmark.synthetic_people import COLLECTION
from people import api_keys, identification
from people.models import Collection, Person
from tests.actors import STAFF


def test_an_empty_database_is_filled_and_one_person_can_be_identified(db: None, real_engine: None) -> None:
    output = StringIO()
    call_command("enrol_synthetic_people", "30", stdout=output)
    printed = json.loads(output.getvalue())
    assert Person.objects.count() == 30
    assert printed["load_seconds"] > 0
    assert api_keys.matching(printed["api_key"]) is not None
    result = identification.identify(
        sample_photos.read(sample_photos.PROBE),
        collection=Collection.objects.get(name=COLLECTION),
        actor=STAFF,
    )
    assert [face.decision for face in result.faces] == ["match"]


def test_a_database_that_contains_people_is_left_unchanged(enrolled: Any) -> None:
    enrolled(1)
    with pytest.raises(CommandError, match="contains people"):
        call_command("enrol_synthetic_people", "5")
    assert Person.objects.count() == 1


def test_the_number_of_people_must_be_positive() -> None:
    with pytest.raises(CommandError, match="is not a number from 1"):
        call_command("enrol_synthetic_people", "0")
