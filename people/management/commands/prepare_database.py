"""`manage.py prepare_database`: prepare the database for a new version, before the service starts.

In a deployment, every task runs it.
"""

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
        "Migrate the database, one process at a time. On the first run, also create the collection "
        "`default` and, if ADMIN_PASSWORD is set in the environment, the administrator `admin`."
    )
    # The checks for model files don't matter here.
    requires_system_checks = ("database",)

    def handle(self, *args: Any, **options: Any) -> None:
        with one_preparation_at_a_time():
            call_command("migrate", interactive=False, stdout=self.stdout)
            registration.ensure_default_collection(actor=COMMAND)
            if not User.objects.filter(is_superuser=True).exists():
                self._create_administrator()

    def _create_administrator(self) -> None:
        password = os.environ.get("ADMIN_PASSWORD", "")
        if not password:
            self.stdout.write("There is no administrator yet. Create one with `manage.py createsuperuser`.")
            return
        try:
            registration.save_administrator("admin", password, actor=COMMAND)
        except ValidationError as error:
            raise CommandError(f"ADMIN_PASSWORD was rejected: {' '.join(error.messages)}") from error
        self.stdout.write("The administrator `admin` can log in with the password from ADMIN_PASSWORD.")
