"""`manage.py fetch_samples`: fetch photos in the public domain, for tests and first steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from people.engines import fetching, registry
from people.errors import FetchFailed


class Command(BaseCommand):
    help = "Fetch sample photos in the public domain and verify each one's sha256."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, metavar="DIR", help="the folder to put them in (FACEREC_SAMPLES_DIR)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        directory = options["to"] or settings.FACEREC_SAMPLES_DIR
        samples = registry.entries("samples").values()
        try:
            fetching.fetch_all(samples, directory, self.stdout.write)
        except FetchFailed as error:
            raise CommandError(error.message) from error
        for sample in samples:
            self.stdout.write(f"{sample.file}: {sample.person}. {sample.credit}.")
        self.stdout.write(self.style.SUCCESS(f"The sample photos are in {directory}."))
