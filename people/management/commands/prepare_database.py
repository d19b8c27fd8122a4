"""What a new version needs of the database before it serves: run by each task before the service starts."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from people import registration
from people.actors import COMMAND
from people.database import one_preparation_at_a_time


class Command(BaseCommand):
    help = (
        "Migrate, one process at a time, and on the first run create the collection `default` and, with "
        "ADMIN_PASSWORD in the environment, the administrator `admin`."
    )
    # The models are of no concern here.
    requires_system_checks = ("database",)

    def handle(self, *args: Any, **options: Any) -> None:
        with one_preparation_at_a_time():
            call_command("migrate", interactive=False, stdout=self.stdout)
            registration.ensure_default_collection(actor=COMMAND)
            if not User.objects.filter(is_superuser=True).exists():
                self._administrator()

    def _administrator(self) -> None:
        password = os.environ.get("ADMIN_PASSWORD", "")
        if not password:
            self.stdout.write("There is no administrator: `manage.py createsuperuser` makes one.")
            return
        try:
            registration.save_administrator("admin", password, actor=COMMAND)
        except ValidationError as error:
            raise CommandError(f"ADMIN_PASSWORD is not accepted: {' '.join(error.messages)}") from error
        self.stdout.write("The administrator `admin` has the password of ADMIN_PASSWORD.")
