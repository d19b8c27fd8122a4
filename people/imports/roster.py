"""The people of an import: those already in the collection, and those described in its people.csv."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import QuerySet

from people.errors import ConsentMissing
from people.imports import people_csv
from people.models import ImportJob, Person
from people.photos import decode


class Roster:
    def __init__(self, job: ImportJob, rows: Mapping[str, people_csv.Row]) -> None:
        """`rows` are the rows of people.csv, by folder."""
        self._job = job
        self._rows = {row.external_id: row for row in rows.values()}

    def enrolled(self, external_id: str) -> QuerySet[Person]:
        """Return a query for the collection's person with this external_id, who may not exist."""
        return Person.objects.filter(collection=self._job.collection_id, external_id=external_id)

    def new(self, external_id: str) -> Person:
        """Return an unsaved person, with the fields from people.csv if it has a row for that person."""
        row = self._rows.get(external_id)
        fields = dict(row.fields) if row else {}
        return Person(collection=self._job.collection, external_id=external_id, **fields)

    def check_new(self, external_id: str, data: bytes) -> None:
        """Check a photo before its person is created. Raises ConsentMissing or PhotoRejected."""
        if self._job.collection.requires_consent and not self.new(external_id).has_consent():
            raise ConsentMissing
        decode(data)
