"""A new administrator's password and a new API key, printed once."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from people import audit
from people.actors import COMMAND
from people.models import ApiKey
from people.models.api_key import SCOPES


class Command(BaseCommand):
    help = "Create an administrator (or give one a new password) and an API key, and print them once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default="admin", help="the administrator's name (admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        with transaction.atomic():
            user, _ = User.objects.get_or_create(username=options["user"])
            user.is_staff = user.is_superuser = user.is_active = True
            user.set_password(password)
            user.save()
            key, text = ApiKey.issue(label="first key", scopes=SCOPES)
            audit.record("user.password_set", actor=COMMAND, object_id=user.pk)
            audit.record(
                "api_key.issued", actor=COMMAND, object_id=key.prefix, details={"scopes": list(SCOPES)}
            )
        self.stdout.write(f"admin user: {user.username}")
        self.stdout.write(f"admin password: {password}")
        self.stdout.write(f"api key: {text}")
