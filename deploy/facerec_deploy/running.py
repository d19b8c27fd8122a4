"""What runs: its state, its log, commands in a task of their own, new tasks for new secrets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .account import Account, Refused

CLUSTER = "facerec-api-cluster"
SERVICES = ("facerec-api", "facerec-api-worker")
LOG_GROUP = "/ecs/facerec-api"
POLL_SECONDS = 3.0


def services(account: Account) -> list[dict[str, Any]]:
    """Return the services as ECS tells them; empty before the first deployment."""
    client = account.client("ecs")
    try:
        found = client.describe_services(cluster=CLUSTER, services=list(SERVICES))["services"]
    except client.exceptions.ClusterNotFoundException:
        return []
    return [one for one in found if one["status"] == "ACTIVE"]


def image_of(account: Account, task_definition: str) -> str:
    """Return the image of a task definition's last container, the one that stays."""
    found = account.client("ecs").describe_task_definition(taskDefinition=task_definition)
    return str(found["taskDefinition"]["containerDefinitions"][-1]["image"])


def previous_image(account: Account) -> str:
    """Return the image that ran before the present one. Raises Refused when there was none."""
    running = [one for one in services(account) if one["serviceName"] == SERVICES[0]]
    if not running:
        raise Refused("Nothing is deployed yet.")
    present = image_of(account, running[0]["taskDefinition"])
    family = running[0]["taskDefinition"].rpartition("/")[2].partition(":")[0]
    pages = account.client("ecs").get_paginator("list_task_definitions")
    revisions = [
        arn
        for status in ("ACTIVE", "INACTIVE")
        for page in pages.paginate(familyPrefix=family, status=status)
        for arn in page["taskDefinitionArns"]
        if arn.rpartition("/")[2].partition(":")[0] == family
    ]
    number = int(running[0]["taskDefinition"].rpartition(":")[2])
    before = sorted((int(arn.rpartition(":")[2]), arn) for arn in revisions)
    for revision, arn in reversed(before):
        if revision < number and (image := image_of(account, arn)) != present:
            return image
    raise Refused("There is no earlier image to go back to: give --to sha-… or --to sha256:….")


def restart(account: Account) -> None:
    """Replace the tasks, so that they read the secrets anew."""
    client = account.client("ecs")
    for one in services(account):
        client.update_service(cluster=CLUSTER, service=one["serviceName"], forceNewDeployment=True)
        account.say(f"{one['serviceName']}: new tasks are being started")


def log_lines(account: Account, since: timedelta, stream: str = "", *, follow: bool = False) -> Iterator[str]:
    """Yield the log's lines; with `follow`, without end. Raises Refused when there is no log yet."""
    client = account.client("logs")
    start = datetime.now(UTC) - since
    seen: set[str] = set()
    chosen = {"logStreamNamePrefix": f"ecs/{stream}"} if stream else {}
    while True:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=LOG_GROUP, startTime=int(start.timestamp() * 1000), **chosen
        )
        try:
            events = [event for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException as error:
            raise Refused(f"There is no log {LOG_GROUP}: nothing is deployed yet.") from error
        for event in events:
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                container = event["logStreamName"].split("/")[1]
                yield f"{moment:%Y-%m-%d %H:%M:%S} {container:8} {event['message']}"
        if not follow:
            return
        if events:  # late lines of the last minute are still asked for
            start = max(
                start, datetime.fromtimestamp(events[-1]["timestamp"] / 1000, UTC) - timedelta(minutes=1)
            )
        time.sleep(POLL_SECONDS)


def run_command(account: Account, command: Sequence[str], network: dict[str, Any], task: str) -> int:
    """Run a command in a task of its own, tell its log, and return its exit code.

    Read-only containers take no shell from outside (ECS Exec), and a task of its own can't disturb others.
    """
    client = account.client("ecs")
    started = client.run_task(
        cluster=CLUSTER,
        taskDefinition=task,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        overrides={"containerOverrides": [{"name": "worker", "command": list(command)}]},
        startedBy="facerec-deploy",
    )
    if started["failures"] or not started["tasks"]:
        reasons = ", ".join(one.get("reason", "no reason given") for one in started["failures"])
        raise Refused(f"ECS did not start the task: {reasons}.")
    arn = started["tasks"][0]["taskArn"]
    identity = arn.rpartition("/")[2]
    account.say(f"Task {identity} is starting; about a minute.")
    told = 0
    try:
        while True:
            found = client.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
            stopped = found["lastStatus"] == "STOPPED"
            lines = _lines_so_far(account, identity)
            for line in lines[told:]:
                account.say(line)
            told = len(lines)
            if stopped:
                break
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        client.stop_task(cluster=CLUSTER, task=arn, reason="interrupted by facerec-deploy")
        account.say(f"Task {identity} was told to stop.")
        raise
    code = found["containers"][0].get("exitCode")
    if code is None:
        raise Refused(f"The task never ran: {found.get('stoppedReason', 'ECS gives no reason')}")
    return int(code)


def _lines_so_far(account: Account, identity: str) -> list[str]:
    client = account.client("logs")
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=LOG_GROUP, logStreamNames=[f"ecs/worker/{identity}"]
    )
    try:
        return [event["message"] for page in pages for event in page["events"]]
    except client.exceptions.ResourceNotFoundException:  # nothing was written yet
        return []
