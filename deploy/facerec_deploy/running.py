"""The running service: its state and log, one-off commands, and restarts after a change of secrets."""

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
    """Return the services as ECS describes them; none before the first deployment."""
    client = account.client("ecs")
    try:
        described = client.describe_services(cluster=CLUSTER, services=list(SERVICES))["services"]
    except client.exceptions.ClusterNotFoundException:
        return []
    return [service for service in described if service["status"] == "ACTIVE"]


def image_of(account: Account, task_definition: str) -> str:
    """Return the image of a task definition's last container: the one that keeps running after `prepare`."""
    described = account.client("ecs").describe_task_definition(taskDefinition=task_definition)
    return str(described["taskDefinition"]["containerDefinitions"][-1]["image"])


def previous_image(account: Account) -> str:
    """Return the image that was deployed before the current one. Raises Refused if there was none."""
    definitions = [
        service["taskDefinition"] for service in services(account) if service["serviceName"] == SERVICES[0]
    ]
    if not definitions:
        raise Refused("The service is not deployed yet. Run apply first.")
    current_image = image_of(account, definitions[0])
    family = definitions[0].rpartition("/")[2].partition(":")[0]
    pages = account.client("ecs").get_paginator("list_task_definitions")
    revisions = [
        arn
        for status in ("ACTIVE", "INACTIVE")
        for page in pages.paginate(familyPrefix=family, status=status)
        for arn in page["taskDefinitionArns"]
        if arn.rpartition("/")[2].partition(":")[0] == family
    ]
    current_number = int(definitions[0].rpartition(":")[2])
    numbered_revisions = sorted((int(arn.rpartition(":")[2]), arn) for arn in revisions)
    for number, arn in reversed(numbered_revisions):
        if number < current_number and (image := image_of(account, arn)) != current_image:
            return image
    raise Refused("No earlier image was deployed. Name one with --to sha-… or --to sha256:….")


def restart(account: Account) -> None:
    """Replace the tasks, so that they read the secrets again."""
    client = account.client("ecs")
    for service in services(account):
        client.update_service(cluster=CLUSTER, service=service["serviceName"], forceNewDeployment=True)
        account.say(f"{service['serviceName']}: starting new tasks")


def log_lines(account: Account, since: timedelta, stream: str = "", *, follow: bool = False) -> Iterator[str]:
    """Yield the lines of the log; with `follow`, never stop. Raises Refused if there is no log yet."""
    client = account.client("logs")
    start = datetime.now(UTC) - since
    seen: set[str] = set()
    stream_filter = {"logStreamNamePrefix": f"ecs/{stream}"} if stream else {}
    while True:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=LOG_GROUP, startTime=int(start.timestamp() * 1000), **stream_filter
        )
        try:
            events = [event for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException as error:
            raise Refused(
                f"The log group {LOG_GROUP} does not exist: the service is not deployed yet."
            ) from error
        for event in events:
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                container = event["logStreamName"].split("/")[1]
                yield f"{moment:%Y-%m-%d %H:%M:%S} {container:8} {event['message']}"
        if not follow:
            return
        if events:  # CloudWatch may deliver lines late: ask for the last minute again
            start = max(
                start, datetime.fromtimestamp(events[-1]["timestamp"] / 1000, UTC) - timedelta(minutes=1)
            )
        time.sleep(POLL_SECONDS)


def run_command(account: Account, command: Sequence[str], network: dict[str, Any], task: str) -> int:
    """Run a command in a task of its own, print its log, and return its exit code.

    ECS Exec needs a writable root file system, and a separate task can't disturb the service.
    Raises Refused if the task can't be started.
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
        reasons = ", ".join(failure.get("reason", "no reason given") for failure in started["failures"])
        raise Refused(f"ECS could not start the task: {reasons}.")
    arn = started["tasks"][0]["taskArn"]
    identity = arn.rpartition("/")[2]
    account.say(f"Task {identity} is starting. This takes about a minute.")
    printed = 0
    try:
        while True:
            state = client.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
            stopped = state["lastStatus"] == "STOPPED"
            lines = _lines_so_far(account, identity)
            for line in lines[printed:]:
                account.say(line)
            printed = len(lines)
            if stopped:
                break
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        client.stop_task(cluster=CLUSTER, task=arn, reason="interrupted by facerec-deploy")
        account.say(f"Stopping task {identity}.")
        raise
    code = state["containers"][0].get("exitCode")
    if code is None:
        raise Refused(f"The task never ran: {state.get('stoppedReason', 'ECS gave no reason')}")
    return int(code)


def _lines_so_far(account: Account, identity: str) -> list[str]:
    client = account.client("logs")
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=LOG_GROUP, logStreamNames=[f"ecs/worker/{identity}"]
    )
    try:
        return [event["message"] for page in pages for event in page["events"]]
    except client.exceptions.ResourceNotFoundException:  # the task hasn't logged anything yet
        return []
