"""`manage.py quickstart`: set up a fresh checkout as a service that you can log in to. Fast if repeated."""

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
"""The photos to enrol. obama3 is left out, so that you can try to identify it."""


class Command(BaseCommand):
    help = (
        "Download the models and migrate the database. On the first run, also create an administrator, an "
        "API key and the sample collection."
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
            self.stdout.write(
                "Copy these now; you won't be able to see them again. `make credentials` creates new ones."
            )

    def _load_sample(self) -> None:
        """Create the sample collection and enrol the photos in ENROLLED."""
        try:
            call_command("fetch_samples", stdout=self.stdout)
        except CommandError as error:
            # the service works without them
            self.stderr.write(f"Skipped the sample collection: {error}")
            return
        collection = registration.save_collection(
            Collection(
                name=SAMPLE,
                description="Public-domain portraits for trying out the service. Delete them when done.",
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
