"""`reapply_erasures` reads the log and repeats the erasures that a restored backup has undone."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from io import StringIO
from uuid import uuid4

import pytest
from django.core import serializers
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from pytest_django import DjangoCaptureOnCommitCallbacks

from people import erasure, identification, outbox
from people.models import Collection, Erasure, MeanTemplate, Person, Photo, Template
from people.models.photo import photo_storage
from tests import fakes
from tests.actors import STAFF

Enrol = Callable[..., Person]
pytestmark = pytest.mark.django_db


class Backup:
    """The rows and files of one person, as in a snapshot of the database and its bucket."""

    def __init__(self, person: Person) -> None:
        self.person_id = person.pk
        rows = [
            person,
            *(
                row
                for model in (Photo, Template, MeanTemplate)
                for row in model.objects.filter(person=person)
            ),
        ]
        self.rows = serializers.serialize("json", rows)
        self.files = {}
        for photo in Photo.objects.filter(person=person):
            with photo_storage().open(str(photo.file.name)) as file:
                self.files[str(photo.file.name)] = file.read()

    def restore(self) -> None:
        for row in serializers.deserialize("json", self.rows):
            row.save()
        for name, data in self.files.items():
            if not photo_storage().exists(name):
                photo_storage().save(name, ContentFile(data))
        outbox.person_changed(self.person_id)


def matches(collection: Collection, seed: int) -> list[str]:
    """Return the names of the people who match this face."""
    result = identification.identify(fakes.photo(seed, variation=7), collection=collection, actor=STAFF)
    candidates = [candidate for face in result.faces for candidate in face.candidates]
    return [candidate.person.name for candidate in candidates if candidate.score.match]


def reapply(log: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    output = StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(log))
    call_command("reapply_erasures", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_people_erased_since_the_backup_are_erased_again(
    collection: Collection,
    enrolled: Enrol,
    work: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    enrolled(2)
    backup = Backup(enrolled(1))
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        erasure.erase(Person.objects.get(pk=backup.person_id), actor=STAFF)
    work()
    assert matches(collection, 1) == []
    backup.restore()
    assert matches(collection, 1) == ["Person 1"]  # the restore has brought them back

    assert "In the database again: 1" in reapply(caplog.text, monkeypatch, "--dry-run")
    assert matches(collection, 1) == ["Person 1"]
    reapply(caplog.text, monkeypatch)
    work()
    assert matches(collection, 1) == []
    assert matches(collection, 2) == ["Person 2"]
    assert not any(photo_storage().exists(name) for name in backup.files)
    assert Erasure.objects.get(reason="reapplied").status == "complete"
    assert "In the database again: 0" in reapply(caplog.text, monkeypatch)


def test_the_log_identifies_erased_people_only_by_id(
    enrolled: Enrol,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    person = enrolled(1, name="Ada Lovelace", external_id="staff-7")
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        receipt = erasure.erase(person, actor=STAFF)
    assert f"Erasure {receipt.pk} of {receipt.person_id}" in caplog.text
    assert "Ada" not in caplog.text
    assert "staff-7" not in caplog.text
    assert erasure.erased_by_log(caplog.text.splitlines()) == [receipt.person_id]


def test_only_people_whose_ids_are_passed_as_arguments_are_erased(
    collection: Collection, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed_person, other_person = enrolled(1), enrolled(3)
    output = reapply("", monkeypatch, str(listed_person.pk), str(uuid4()))
    assert "In the database again: 1" in output
    assert list(Person.objects.all()) == [other_person]


@pytest.mark.parametrize(("log", "arguments"), [("", []), ("Erasure without an id", []), ("", ["not-an-id"])])
def test_a_log_without_erasures_or_an_invalid_id_is_refused(
    log: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError):
        reapply(log, monkeypatch, *arguments)
