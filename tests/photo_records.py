"""Photo rows for tests that need neither the file nor a face."""

from __future__ import annotations

from people.models import Person, Photo
from tests.actors import STAFF
from tests.times import ago


def photograph(person: Person, *, days_ago: float) -> None:
    """Create a photo of the person that was submitted `days_ago` days ago."""
    photo = Photo.objects.create(
        person=person, file="none.jpg", sha256=str(person.pk), width=1, height=1, submitted_by=STAFF.label
    )
    Photo.objects.filter(pk=photo.pk).update(created_at=ago(days=days_ago))
