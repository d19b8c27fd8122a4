"""Everything between a fresh checkout and a service one can log in to; quick when it is all there."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from people import enrolment, registration
from people.actors import COMMAND
from people.engines.registry import entries
from people.models import Collection, Person

SAMPLE = "sample"
ENROLLED = ("obama", "obama2", "biden", "astronaut")
"""obama3 is left to be identified."""


class Command(BaseCommand):
    help = (
        "Fetch models and samples, migrate, and on the first run create an administrator, a key and a sample."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        settings.FACEREC_VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        call_command("fetch_models", stdout=self.stdout)
        call_command("migrate", verbosity=0, interactive=False)
        registration.ensure_default_collection(actor=COMMAND)
        if not Collection.objects.filter(name=SAMPLE).exists():
            self._load_sample()
        if not User.objects.filter(is_superuser=True).exists():
            call_command("new_credentials", stdout=self.stdout)
            self.stdout.write("These are shown once; `make credentials` makes new ones.")

    def _load_sample(self) -> None:
        """Enrol the sample people, all but their last photo, which is left to identify."""
        try:
            call_command("fetch_samples", stdout=self.stdout)
        except CommandError as error:
            # the service is whole without them
            self.stderr.write(f"The sample collection is left out: {error}")
            return
        collection = registration.save_collection(
            Collection(
                name=SAMPLE,
                description="Public-domain portraits, to try the service with. Delete it when done.",
            ),
            actor=COMMAND,
        )
        samples = entries("samples")
        people: dict[str, Person] = {}
        for sample in (samples[name] for name in ENROLLED):
            person = people.get(sample.person)
            if person is None:
                person = registration.save_person(
                    Person(collection=collection, name=sample.person), actor=COMMAND
                )
                people[sample.person] = person
            data = (settings.FACEREC_SAMPLES_DIR / sample.file).read_bytes()
            photo = enrolment.submit(person, data, actor=COMMAND).photo
            enrolment.enrol(photo.pk)
            photo.refresh_from_db()
            self.stdout.write(f"  {sample.person}, {sample.file}: {photo.status}")
