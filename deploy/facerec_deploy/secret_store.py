"""Secrets in SSM's Parameter Store, under /facerec/. A value is never an argument, printed or logged."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from .account import Account, Refused

PREFIX = "/facerec/"
GENERATED = {"SECRET_KEY": 64, "DATABASE_PASSWORD": 32, "ADMIN_PASSWORD": 18}
"""Secrets that nobody outside gives: name, and random bytes."""
GIVEN = ("PINECONE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NAMES = (*GENERATED, *GIVEN)
TAGS = [
    {"Key": "copilot-application", "Value": "facerec"},
    {"Key": "copilot-environment", "Value": "prod"},
]
"""Copilot's own policies ask for them; where CloudFormation deploys they do no harm."""


class SecretStore:
    """Needs ssm:DescribeParameters to look, and ssm:PutParameter to write; it never reads a value."""

    def __init__(self, account: Account, key: str = "") -> None:
        self.account = account
        self.client = account.client("ssm")
        self.key = {"KeyId": key} if key else {}

    def present(self) -> dict[str, dict[str, Any]]:
        """Return what Parameter Store tells of each secret: when and by whom it was changed."""
        pages = self.client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [PREFIX.rstrip("/")]}]
        )
        return {one["Name"].removeprefix(PREFIX): one for page in pages for one in page["Parameters"]}

    def put(self, name: str, value: str) -> None:
        """Keep a value. Raises Refused for a name that the service doesn't read, or an empty value."""
        if name not in NAMES:
            raise Refused(f"{name} is no secret of this service. There are: {', '.join(NAMES)}.")
        if not value.strip():
            raise Refused(f"{name} was not changed: the value is empty.")
        kept = {"Name": PREFIX + name, "Value": value.strip(), "Type": "SecureString", **self.key}
        try:
            self.client.put_parameter(**kept, Tags=TAGS)
        except self.client.exceptions.ParameterAlreadyExists:
            self.client.put_parameter(**kept, Overwrite=True)

    def generate(self, name: str) -> str:
        """Put a new random value, and return it for whoever else must know it."""
        value = secrets.token_urlsafe(GENERATED[name])
        self.put(name, value)
        return value

    def make_up(self, name: str) -> None:
        """Generate a value for the first time. Raises Refused where that would lock somebody out."""
        if name not in GENERATED:
            raise Refused(f"{name} comes from elsewhere: it can't be made up.")
        if name in self.present():
            raise Refused(f"{name} is there already: `secrets rotate {name}` changes it.")
        self.generate(name)

    def complete(self, chosen: Mapping[str, str]) -> None:
        """Make what can be made up. Raises Refused for what only the operator can give."""
        present = self.present()
        for name in GENERATED:
            if name not in present:
                self.generate(name)
                self.account.say(f"  {PREFIX}{name}: made up, since it was missing")
        if missing := [name for name in self._wanted(chosen) if name not in present]:
            commands = "\n".join(f"  deploy/facerec-deploy secrets put {name}" for name in missing)
            also = "\nor write UsePinecone = false." if "PINECONE_API_KEY" in missing else ""
            raise Refused(f"A task could not start without these secrets. Give them:\n{commands}{also}")

    def missing(self, chosen: Mapping[str, str]) -> list[str]:
        present = self.present()
        return [name for name in (*GENERATED, *self._wanted(chosen)) if name not in present]

    @staticmethod
    def _wanted(chosen: Mapping[str, str]) -> list[str]:
        wanted = [] if chosen.get("UsePinecone") == "false" else ["PINECONE_API_KEY"]
        if chosen.get("UseStaticAwsKeys") == "true":
            wanted += ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        return wanted
