"""What tests of merges compare: who matches a face, and who has which photos."""

from __future__ import annotations

from typing import Any

from people import identification
from people.models import Collection, Person, Photo
from tests import fakes
from tests.actors import STAFF


def candidates(collection: Collection, seed: int) -> list[Person]:
    """Return the people who match this face, best first."""
    result = identification.identify(fakes.photo(seed, variation=50), collection=collection, actor=STAFF)
    return [candidate.person for candidate in result.faces[0].candidates]


def photos_of(person: Person) -> set[Any]:
    """Return the ids of the photos of this record."""
    return set(Photo.objects.filter(person=person).values_list("pk", flat=True))
