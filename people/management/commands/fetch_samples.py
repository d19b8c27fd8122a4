"""`manage.py fetch_samples`: download public-domain photos for tests and the sample collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from people.engines import fetching, registry
from people.errors import FetchFailed


class Command(BaseCommand):
    help = "Download public-domain sample photos and verify their SHA-256 checksums."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, metavar="DIR", help="the folder for the photos (default: FACEREC_SAMPLES_DIR)"
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
