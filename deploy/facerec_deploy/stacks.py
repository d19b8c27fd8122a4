"""Stacks: plan a change, apply it, wait for it, delete a stack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from .account import Account, Refused
from .configuration import STACKS, check_names, stack_name, template

POLL_SECONDS = 4.0
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
NOT_CREATED = ("REVIEW_IN_PROGRESS",)
CREATION_FAILED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


class StackFailed(Exception):
    """A stack did not reach the intended state; the message names the resources that failed, and why."""


@dataclass(frozen=True, slots=True)
class Change:
    action: str
    resource: str
    kind: str
    replaced: bool

    def __str__(self) -> str:
        return (
            f"{self.action.lower():7} {self.kind:45} {self.resource}{'  REPLACED' if self.replaced else ''}"
        )


class Stacks:
    """The stacks of one account and region."""

    def __init__(self, account: Account, role: str | None = None) -> None:
        self.account = account
        self.client = account.client("cloudformation")
        self.role = {"RoleARN": role} if role else {}

    def find(self, part: str) -> dict[str, Any] | None:
        try:
            stack: dict[str, Any] = self.client.describe_stacks(StackName=stack_name(part))["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack

    def outputs(self) -> dict[str, str]:
        """Return the outputs of all existing stacks."""
        return {
            output["OutputKey"]: output["OutputValue"]
            for part in STACKS
            for output in (self.find(part) or {}).get("Outputs", ())
        }

    def declared(self, part: str) -> dict[str, str | None]:
        """Return the template's parameters with their defaults; None for a required one."""
        parameters = self.client.get_template_summary(TemplateBody=template(part))["Parameters"]
        return {parameter["ParameterKey"]: parameter.get("DefaultValue") for parameter in parameters}

    def check(self, parameters: Mapping[str, str]) -> None:
        """Raise Refused for a parameter that no template has."""
        check_names(parameters, {name for part in STACKS for name in self.declared(part)})

    def values(self, part: str, parameters: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """Return the parameters of a stack, and the names of required ones that have no value yet."""
        available = {**self.outputs(), **parameters}
        declared = self.declared(part)
        values = {name: available[name] for name in declared if name in available}
        return values, [name for name, default in declared.items() if default is None and name not in values]

    def plan(self, part: str, values: Mapping[str, str]) -> list[Change]:
        """Return the changes that `apply` would make; make none."""
        change_set = self._change_set(part, values)
        if change_set is None:
            return []
        changes = list(self._changes(change_set))
        self.client.delete_change_set(ChangeSetName=change_set)
        stack = self.find(part)
        if stack and stack["StackStatus"] in NOT_CREATED:
            self.client.delete_stack(StackName=stack_name(part))
        return changes

    def apply(self, part: str, values: Mapping[str, str]) -> bool:
        """Create or update the stack from its template and these values; return whether anything changed.

        Waits first for operations that an earlier run started. Raises StackFailed.
        """
        self.settle(part)
        change_set = self._change_set(part, values)
        if change_set is None:
            return False
        for change in self._changes(change_set):
            self.account.say(f"  {change}")
        started_at = datetime.now(UTC)
        self.client.execute_change_set(ChangeSetName=change_set)
        self._follow(part, started_at)
        return True

    def settle(self, part: str) -> None:
        """Wait for what an interrupted run left in progress, and clean up what it left unfinished."""
        stack = self.find(part)
        if stack is None:
            return
        status = stack["StackStatus"]
        if status.endswith("_IN_PROGRESS") and status not in NOT_CREATED:
            self.account.say(f"  {stack_name(part)} is still {status}. Waiting …")
            self._wait(part, datetime.now(UTC))
            stack = self.find(part)
            status = stack["StackStatus"] if stack else ""
        if status in CREATION_FAILED:
            self.account.say(
                f"  {stack_name(part)} was never created completely ({status})."
                " Deleting it to create it again."
            )
            self.delete(part)
        elif status == "UPDATE_ROLLBACK_FAILED":
            self.account.say(f"  {stack_name(part)} failed to roll back. Retrying the rollback.")
            self.client.continue_update_rollback(StackName=stack_name(part), **self.role)
            self._wait(part, datetime.now(UTC))

    def delete(self, part: str) -> None:
        """Delete the stack if it exists. Raises StackFailed."""
        stack = self.find(part)
        if stack is None:
            return
        started_at = datetime.now(UTC)
        self.client.delete_stack(StackName=stack_name(part), **self.role)
        self._wait(stack["StackId"], started_at)
        if (remaining := self.find(part)) is not None:
            reasons = self._reasons(part, started_at)
            raise StackFailed(f"{stack_name(part)} is {remaining['StackStatus']}.{reasons}")

    def _change_set(self, part: str, values: Mapping[str, str]) -> str | None:
        """Return the ARN of a change set that is ready to execute, or None if nothing would change."""
        stack = self.find(part)
        kind = "CREATE" if stack is None or stack["StackStatus"] in NOT_CREATED else "UPDATE"
        change_set = self.client.create_change_set(
            StackName=stack_name(part),
            ChangeSetName=f"facerec-deploy-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}",
            ChangeSetType=kind,
            TemplateBody=template(part),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            # images, photos and log outlive their stacks: a recreated stack adopts them
            ImportExistingResources=True,
            Tags=[{"Key": "application", "Value": "facerec-api"}],
            **self.role,
        )["Id"]
        while True:
            state = self.client.describe_change_set(ChangeSetName=change_set)
            if state["Status"] == "CREATE_COMPLETE":
                return str(change_set)
            if state["Status"] == "FAILED":
                self.client.delete_change_set(ChangeSetName=change_set)
                reason = state.get("StatusReason", "")
                if any(text in reason for text in NO_CHANGES):
                    return None
                raise StackFailed(f"{stack_name(part)}: {reason}")
            time.sleep(POLL_SECONDS / 4)

    def _changes(self, change_set: str) -> Iterator[Change]:
        for page in self.client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for entry in page["Changes"]:
                change = entry["ResourceChange"]
                yield Change(
                    change["Action"],
                    change["LogicalResourceId"],
                    change["ResourceType"],
                    change.get("Replacement") == "True",
                )

    def _follow(self, part: str, started_at: datetime) -> None:
        self._wait(part, started_at)
        status = (self.find(part) or {"StackStatus": "deleted"})["StackStatus"]
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StackFailed(f"{stack_name(part)} is {status}.{self._reasons(part, started_at)}")

    def _wait(self, part_or_id: str, since: datetime) -> None:
        """Print the stack's events since then, until no operation is in progress."""
        name = part_or_id if part_or_id.startswith("arn:") else stack_name(part_or_id)
        printed: set[str] = set()
        while True:
            try:
                status = self.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            except ClientError as error:
                if "does not exist" in str(error):
                    return
                raise
            for event in self._events(name, since):
                if event["EventId"] not in printed:
                    printed.add(event["EventId"])
                    reason = f"  {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
                    self.account.say(
                        f"  {event['Timestamp']:%H:%M:%S}  {event['ResourceStatus']:28}"
                        f" {event['LogicalResourceId']}{reason}"
                    )
            if not status.endswith("_IN_PROGRESS") or status in NOT_CREATED:
                return
            time.sleep(POLL_SECONDS)

    def _events(self, name: str, since: datetime) -> list[dict[str, Any]]:
        """Return the events since then, oldest first."""
        events: list[dict[str, Any]] = []
        for page in self.client.get_paginator("describe_stack_events").paginate(StackName=name):
            recent = [event for event in page["StackEvents"] if event["Timestamp"] >= since]
            events += recent
            if len(recent) < len(page["StackEvents"]):
                break
        return events[::-1]

    def _reasons(self, part: str, since: datetime) -> str:
        reasons = [
            f"\n  {event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in self._events(stack_name(part), since)
            if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
        ]
        return "".join(reasons)


def missing_parameters(part: str, names: list[str]) -> Refused:
    return Refused(f"{stack_name(part)} requires {', '.join(names)}. Set them in parameters.toml.")
