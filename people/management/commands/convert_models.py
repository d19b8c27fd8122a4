"""`manage.py convert_models`: rewrite models for the runtime, and check that they compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from people.engines import conversion
from people.errors import FacerecError


class Command(BaseCommand):
    help = (
        "Convert the models that compute faster in another form, check each against its original and put "
        "it into FACEREC_MODELS_DIR. fetch_models does it, too."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            conversion.convert_all(Path(settings.FACEREC_MODELS_DIR), self.stdout.write)
        except FacerecError as error:
            raise CommandError(error.message) from error
