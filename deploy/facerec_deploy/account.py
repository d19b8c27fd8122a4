"""The AWS account that a run uses, and its errors explained to the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

Say = Callable[[str], None]
"""Prints one line for the operator."""


class Refused(Exception):
    """The command can't continue; the message says what the operator has to do first."""


@dataclass
class Account:
    """Credentials and region of one run."""

    profile: str | None
    region: str | None
    say: Say

    @cached_property
    def session(self) -> Any:
        return boto3.session.Session(profile_name=self.profile, region_name=self.region)

    def client(self, service: str) -> Any:
        """Return a client. Raises Refused without a region."""
        if not self.session.region_name:
            raise Refused("No region is set. Pass --region, set AWS_REGION, or add a region to the profile.")
        return self.session.client(service)

    @cached_property
    def number(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])


def explain(error: BotoCoreError | ClientError) -> str:
    """Return a sentence for the operator, without the values that were sent: they may be secret."""
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        return f"AWS rejected {error.operation_name}: {code}. {message}".strip()
    return f"AWS can't be reached: {error}"
