"""`manage.py new_credentials`: a new administrator password and a new API key, printed once."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from people import api_keys, registration
from people.actors import COMMAND
from people.models.api_key import SCOPES


class Command(BaseCommand):
    help = "Create an administrator or reset their password, create an API key, and print both once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default="admin", help="the administrator's name (default: admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        try:
            with transaction.atomic():
                user = registration.save_administrator(options["user"], password, actor=COMMAND)
                _, text = api_keys.issue(label="first key", scopes=SCOPES, actor=COMMAND)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"admin user: {user.username}")
        self.stdout.write(f"admin password: {password}")
        self.stdout.write(f"api key: {text}")
