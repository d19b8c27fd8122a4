"""`manage.py fetch_models`: download the model files to the folder where the engines expect them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from people.engines import fetching, registry
from people.errors import FacerecError


class Command(BaseCommand):
    help = "Download the model files to FACEREC_MODELS_DIR and verify their SHA-256 checksums."
    # The check for missing models must not prevent the command that downloads them from running.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            fetching.fetch_all(
                registry.entries("models").values(), settings.FACEREC_MODELS_DIR, self.stdout.write
            )
        except FacerecError as error:
            raise CommandError(error.message) from error
        self.stdout.write(self.style.SUCCESS(f"The models are in {settings.FACEREC_MODELS_DIR}."))
