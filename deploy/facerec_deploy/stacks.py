"""Stacks: what a change would do, doing it, waiting for it, taking it away."""

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
NEVER_MADE = ("REVIEW_IN_PROGRESS",)
FAILED_TO_BE_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


class StackFailed(Exception):
    """A stack did not come to where it should; the text says which resource failed and why."""


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
            found: dict[str, Any] = self.client.describe_stacks(StackName=stack_name(part))["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def outputs(self) -> dict[str, str]:
        """Return what the stacks that are there tell each other."""
        return {
            output["OutputKey"]: output["OutputValue"]
            for part in STACKS
            for output in (self.find(part) or {}).get("Outputs", ())
        }

    def declared(self, part: str) -> dict[str, str | None]:
        """Return the template's parameters with their defaults; None where one must be given."""
        found = self.client.get_template_summary(TemplateBody=template(part))["Parameters"]
        return {one["ParameterKey"]: one.get("DefaultValue") for one in found}

    def check(self, chosen: Mapping[str, str]) -> None:
        """Raises Refused for a choice that no template knows."""
        check_names(chosen, {name for part in STACKS for name in self.declared(part)})

    def values(self, part: str, chosen: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """Return the parameters of a stack, and the names of those that nobody gives yet."""
        given = {**self.outputs(), **chosen}
        declared = self.declared(part)
        values = {name: given[name] for name in declared if name in given}
        return values, [name for name, default in declared.items() if default is None and name not in values]

    def plan(self, part: str, values: Mapping[str, str]) -> list[Change]:
        """Return what the stack would change, and change nothing."""
        made = self._change_set(part, values)
        if made is None:
            return []
        changes = list(self._changes(made))
        self.client.delete_change_set(ChangeSetName=made)
        found = self.find(part)
        if found and found["StackStatus"] in NEVER_MADE:
            self.client.delete_stack(StackName=stack_name(part))
        return changes

    def apply(self, part: str, values: Mapping[str, str]) -> bool:
        """Make the stack as its template and these values say; return whether anything changed.

        Raises StackFailed. What another run began is waited for first.
        """
        self.settle(part)
        made = self._change_set(part, values)
        if made is None:
            return False
        for change in self._changes(made):
            self.account.say(f"  {change}")
        began = datetime.now(UTC)
        self.client.execute_change_set(ChangeSetName=made)
        self._follow(part, began)
        return True

    def settle(self, part: str) -> None:
        """Wait for what an interrupted run left under way, and clear what it left unfinished."""
        found = self.find(part)
        if found is None:
            return
        status = found["StackStatus"]
        if status.endswith("_IN_PROGRESS") and status not in NEVER_MADE:
            self.account.say(f"  {stack_name(part)} is still {status}: waiting for it.")
            self._wait(part, datetime.now(UTC))
            found = self.find(part)
            status = found["StackStatus"] if found else ""
        if status in FAILED_TO_BE_MADE:
            self.account.say(f"  {stack_name(part)} was never whole ({status}): made anew.")
            self.delete(part)
        elif status == "UPDATE_ROLLBACK_FAILED":
            self.account.say(f"  {stack_name(part)} could not be rolled back before: trying again.")
            self.client.continue_update_rollback(StackName=stack_name(part), **self.role)
            self._wait(part, datetime.now(UTC))

    def delete(self, part: str) -> None:
        """Raises StackFailed."""
        found = self.find(part)
        if found is None:
            return
        began = datetime.now(UTC)
        self.client.delete_stack(StackName=stack_name(part), **self.role)
        self._wait(found["StackId"], began)
        if (left := self.find(part)) is not None:
            raise StackFailed(f"{stack_name(part)} is {left['StackStatus']}.{self._reasons(part, began)}")

    def _change_set(self, part: str, values: Mapping[str, str]) -> str | None:
        """Return a change set that is ready, or None when there is nothing to change."""
        found = self.find(part)
        kind = "CREATE" if found is None or found["StackStatus"] in NEVER_MADE else "UPDATE"
        made = self.client.create_change_set(
            StackName=stack_name(part),
            ChangeSetName=f"facerec-deploy-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}",
            ChangeSetType=kind,
            TemplateBody=template(part),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            # images, photos and log outlive their stacks: made anew, these take them back
            ImportExistingResources=True,
            Tags=[{"Key": "application", "Value": "facerec-api"}],
            **self.role,
        )["Id"]
        while True:
            state = self.client.describe_change_set(ChangeSetName=made)
            if state["Status"] == "CREATE_COMPLETE":
                return str(made)
            if state["Status"] == "FAILED":
                self.client.delete_change_set(ChangeSetName=made)
                reason = state.get("StatusReason", "")
                if any(text in reason for text in NO_CHANGES):
                    return None
                raise StackFailed(f"{stack_name(part)}: {reason}")
            time.sleep(POLL_SECONDS / 4)

    def _changes(self, change_set: str) -> Iterator[Change]:
        for page in self.client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for one in page["Changes"]:
                change = one["ResourceChange"]
                yield Change(
                    change["Action"],
                    change["LogicalResourceId"],
                    change["ResourceType"],
                    change.get("Replacement") == "True",
                )

    def _follow(self, part: str, began: datetime) -> None:
        self._wait(part, began)
        status = (self.find(part) or {"StackStatus": "gone"})["StackStatus"]
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StackFailed(f"{stack_name(part)} is {status}.{self._reasons(part, began)}")

    def _wait(self, part_or_id: str, began: datetime) -> None:
        """Tell events as they come, until nothing is under way any more."""
        name = part_or_id if part_or_id.startswith("arn:") else stack_name(part_or_id)
        told: set[str] = set()
        while True:
            try:
                status = self.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            except ClientError as error:
                if "does not exist" in str(error):
                    return
                raise
            for event in self._events(name, began):
                if event["EventId"] not in told:
                    told.add(event["EventId"])
                    reason = f"  {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
                    self.account.say(
                        f"  {event['Timestamp']:%H:%M:%S}  {event['ResourceStatus']:28}"
                        f" {event['LogicalResourceId']}{reason}"
                    )
            if not status.endswith("_IN_PROGRESS") or status in NEVER_MADE:
                return
            time.sleep(POLL_SECONDS)

    def _events(self, name: str, began: datetime) -> list[dict[str, Any]]:
        """Return the events since `began`, oldest first."""
        events: list[dict[str, Any]] = []
        for page in self.client.get_paginator("describe_stack_events").paginate(StackName=name):
            new = [event for event in page["StackEvents"] if event["Timestamp"] >= began]
            events += new
            if len(new) < len(page["StackEvents"]):
                break
        return events[::-1]

    def _reasons(self, part: str, began: datetime) -> str:
        reasons = [
            f"\n  {event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in self._events(stack_name(part), began)
            if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
        ]
        return "".join(reasons)


def needed(part: str, missing: list[str]) -> Refused:
    return Refused(f"{stack_name(part)} needs {', '.join(missing)}: give them in parameters.toml.")
