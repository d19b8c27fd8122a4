"""Secrets in SSM Parameter Store, under /facerec/. Values are never passed as arguments or logged."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from .account import Account, Refused

PREFIX = "/facerec/"
GENERATED = {"SECRET_KEY": 64, "DATABASE_PASSWORD": 32, "ADMIN_PASSWORD": 18}
"""Secrets that the command can generate: name, and number of random bytes."""
ROTATED = tuple(name for name in GENERATED if name != "ADMIN_PASSWORD")
"""Secrets that take effect when they change. ADMIN_PASSWORD is read on the first start only."""
GIVEN = ("PINECONE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NAMES = (*GENERATED, *GIVEN)
TAGS = [
    {"Key": "copilot-application", "Value": "facerec"},
    {"Key": "copilot-environment", "Value": "prod"},
]
"""Copilot's own policies require them; for CloudFormation they make no difference."""


class SecretStore:
    """The secrets of one account and region.

    Requires ssm:DescribeParameters to list and ssm:PutParameter to write; it never reads a value.
    """

    def __init__(self, account: Account, key: str = "") -> None:
        self.account = account
        self.client = account.client("ssm")
        self.key = {"KeyId": key} if key else {}

    def present(self) -> dict[str, dict[str, Any]]:
        """Return Parameter Store's description of each secret, such as when and by whom it was changed."""
        pages = self.client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [PREFIX.rstrip("/")]}]
        )
        return {
            secret["Name"].removeprefix(PREFIX): secret for page in pages for secret in page["Parameters"]
        }

    def put(self, name: str, value: str) -> None:
        """Store a value. Raises Refused for a name that the service doesn't read, or an empty value."""
        if name not in NAMES:
            raise Refused(f"{name} is not a secret of this service. Use one of: {', '.join(NAMES)}.")
        if not value.strip():
            raise Refused(f"{name} was not changed: the value is empty.")
        parameter = {"Name": PREFIX + name, "Value": value.strip(), "Type": "SecureString", **self.key}
        try:
            self.client.put_parameter(**parameter, Tags=TAGS)
        except self.client.exceptions.ParameterAlreadyExists:
            self.client.put_parameter(**parameter, Overwrite=True)

    def generate(self, name: str) -> str:
        """Store a new random value, and return it for other systems that need it, such as the database."""
        value = secrets.token_urlsafe(GENERATED[name])
        self.put(name, value)
        return value

    def make_up(self, name: str) -> None:
        """Generate a secret's first value.

        Raises Refused if it already has a value, which may be in use, or can't be generated.
        """
        if name not in GENERATED:
            raise Refused(f"{name} is issued by another system and can't be generated.")
        if name in self.present():
            advice = (
                f"To change it, run `secrets rotate {name}`."
                if name in ROTATED
                else "It is read on the first start only. Change the password in the admin."
            )
            raise Refused(f"{name} already has a value. {advice}")
        self.generate(name)

    def complete(self, parameters: Mapping[str, str]) -> None:
        """Generate the missing secrets. Raises Refused for those that only the operator can provide."""
        present = self.present()
        for name in GENERATED:
            if name not in present:
                self.generate(name)
                self.account.say(f"  {PREFIX}{name}: generated")
        if missing := [name for name in self._required(parameters) if name not in present]:
            commands = "\n".join(f"  deploy/facerec-deploy secrets put {name}" for name in missing)
            alternative = "\nor set UsePinecone = false." if "PINECONE_API_KEY" in missing else ""
            raise Refused(
                f"The service can't start without these secrets. Store them:\n{commands}{alternative}"
            )

    def missing(self, parameters: Mapping[str, str]) -> list[str]:
        present = self.present()
        return [name for name in (*GENERATED, *self._required(parameters)) if name not in present]

    @staticmethod
    def _required(parameters: Mapping[str, str]) -> list[str]:
        required = [] if parameters.get("UsePinecone") == "false" else ["PINECONE_API_KEY"]
        if parameters.get("UseStaticAwsKeys") == "true":
            required += ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        return required
