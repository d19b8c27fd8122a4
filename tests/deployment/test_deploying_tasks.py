"""The exact calls that start tasks, read their logs and find the previous image."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.stub import ANY
from facerec_deploy import running
from facerec_deploy.account import Refused

from tests.deployment.operating import Stubbed

NETWORK = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/facerec-api-cluster/0123456789abcdef"


def _expect_command(account: Stubbed, *, code: int | None) -> None:
    ecs, logs = account.stub("ecs"), account.stub("logs")
    ecs.add_response(
        "run_task",
        {"tasks": [{"taskArn": TASK}], "failures": []},
        {
            "cluster": "facerec-api-cluster",
            "taskDefinition": "facerec-api-worker:7",
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": NETWORK},
            "overrides": {
                "containerOverrides": [{"name": "worker", "command": ["python", "manage.py", "verify_audit"]}]
            },
            "startedBy": "facerec-deploy",
        },
    )
    expected = {"logGroupName": "/ecs/facerec-api", "logStreamNames": ["ecs/worker/0123456789abcdef"]}
    container = {"name": "worker"} if code is None else {"name": "worker", "exitCode": code}
    for status, lines in (("RUNNING", ["first"]), ("STOPPED", ["first", "second"])):
        ecs.add_response(
            "describe_tasks",
            {"tasks": [{"lastStatus": status, "containers": [container], "stoppedReason": "no image"}]},
            {"cluster": "facerec-api-cluster", "tasks": [TASK]},
        )
        logs.add_response("filter_log_events", {"events": [{"message": line} for line in lines]}, expected)


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_runs_in_its_own_task_and_its_exit_code_is_returned(stubbed: Stubbed, code: int) -> None:
    _expect_command(stubbed, code=code)
    command = ["python", "manage.py", "verify_audit"]
    assert running.run_command(stubbed, command, NETWORK, "facerec-api-worker:7") == code
    assert stubbed.output[1:] == ["first", "second"]


def test_a_task_that_never_ran_is_reported_with_the_reason(stubbed: Stubbed) -> None:
    _expect_command(stubbed, code=None)
    with pytest.raises(Refused, match="no image"):
        running.run_command(stubbed, ["python", "manage.py", "verify_audit"], NETWORK, "facerec-api-worker:7")


def test_the_log_of_one_container_is_selected_by_its_streams(stubbed: Stubbed) -> None:
    expected = {"logGroupName": "/ecs/facerec-api", "startTime": ANY, "logStreamNamePrefix": "ecs/worker"}
    stubbed.stub("logs").add_response("filter_log_events", {"events": []}, expected)
    assert list(running.log_lines(stubbed, timedelta(minutes=1), "worker")) == []


def test_a_restart_forces_new_tasks_for_each_service(stubbed: Stubbed) -> None:
    ecs = stubbed.stub("ecs")
    services = [{"serviceName": name, "status": "ACTIVE"} for name in running.SERVICES]
    expected = {"cluster": "facerec-api-cluster", "services": ["facerec-api", "facerec-api-worker"]}
    ecs.add_response("describe_services", {"services": services}, expected)
    for name in running.SERVICES:
        ecs.add_response(
            "update_service",
            {},
            {"cluster": "facerec-api-cluster", "service": name, "forceNewDeployment": True},
        )
    running.restart(stubbed)


def test_the_previous_image_is_the_last_one_that_differs(stubbed: Stubbed) -> None:
    ecs = stubbed.stub("ecs")
    family = "arn:aws:ecs:eu-central-1:123456789012:task-definition/facerec-api"
    expected = {"cluster": "facerec-api-cluster", "services": list(running.SERVICES)}
    service = {"serviceName": "facerec-api", "status": "ACTIVE", "taskDefinition": f"{family}:10"}
    ecs.add_response("describe_services", {"services": [service]}, expected)

    def expect_description(number: int, image: str) -> None:
        containers = [{"name": "prepare", "image": image}, {"name": "api", "image": image}]
        ecs.add_response(
            "describe_task_definition",
            {"taskDefinition": {"containerDefinitions": containers}},
            {"taskDefinition": f"{family}:{number}"},
        )

    expect_description(10, "new")
    for status, numbers in (("ACTIVE", [9, 10]), ("INACTIVE", [8])):
        ecs.add_response(
            "list_task_definitions",
            # the worker's family has the same prefix
            {"taskDefinitionArns": [f"{family}:{number}" for number in numbers] + [f"{family}-worker:9"]},
            {"familyPrefix": "facerec-api", "status": status},
        )
    expect_description(9, "new")
    expect_description(8, "old")
    assert running.previous_image(stubbed) == "old"
