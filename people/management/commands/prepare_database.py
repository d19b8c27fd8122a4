"""What a new version needs of the database before it serves: run by each task before the service starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

from people import audit
from people.actors import COMMAND
from people.models import Collection

LOCK = 7_246_031_185
"""Of PostgreSQL's advisory locks; any number that nobody else takes."""


class Command(BaseCommand):
    help = (
        "Migrate, one process at a time, and on the first run create the collection `default` and, with "
        "ADMIN_PASSWORD in the environment, the administrator `admin`."
    )
    # The models are of no concern here.
    requires_system_checks = ("database",)

    def handle(self, *args: Any, **options: Any) -> None:
        with _turn():
            call_command("migrate", interactive=False, stdout=self.stdout)
            Collection.objects.get_or_create(name="default", defaults={"description": "For your own people."})
            if not User.objects.filter(is_superuser=True).exists():
                self._administrator()

    def _administrator(self) -> None:
        password = os.environ.get("ADMIN_PASSWORD", "")
        if not password:
            self.stdout.write("There is no administrator: `manage.py createsuperuser` makes one.")
            return
        user = User.objects.create_superuser("admin", password=password)
        audit.record("user.password_set", actor=COMMAND, object_id=user.pk)
        self.stdout.write("The administrator `admin` has the password of ADMIN_PASSWORD.")


@contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other process prepares this database. SQLite's migrations lock by themselves."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        # neither waiting nor a long migration is a request that hangs
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
                cursor.execute("RESET statement_timeout")
