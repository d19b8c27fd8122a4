"""What tests of merges compare: who matches a face, who has which photos, and everything an undo restores."""

from __future__ import annotations

from typing import Any

from people import identification
from people.models import Collection, MeanTemplate, Person, Photo, Template
from people.models.template import unpack
from tests import fakes
from tests.actors import STAFF


def candidates(collection: Collection, seed: int) -> list[Person]:
    """Return the people who match this face, best first."""
    result = identification.identify(fakes.photo(seed, variation=50), collection=collection, actor=STAFF)
    return [candidate.person for candidate in result.faces[0].candidates]


def photos_of(person: Person) -> set[Any]:
    """Return the ids of the photos of this record."""
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


def changed(person: Person, **fields: Any) -> Person:
    """Return the person as stored, with these fields set but not saved."""
    person = Person.objects.get(pk=person.pk)
    for name, value in fields.items():
        setattr(person, name, value)
    return person
