"""`deploy/facerec-deploy` against moto's server, and its exact calls against botocore's Stubber."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from facerec_deploy import cli, images, running, stacks
from facerec_deploy.account import Account
from facerec_deploy.configuration import FOLDER, STACKS
from facerec_deploy.secret_store import SecretStore
from facerec_deploy.stacks import Stacks
from moto.cloudformation.models import ChangeSet

from tests.deployment import moto_templates
from tests.deployment.templates import read

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(aws: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command as an operator would, in moto's account; return its exit code and what it said."""
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(running, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(stacks, "template", moto_templates.template)
    moto_templates.complete_change_sets(monkeypatch)
    parameters = tmp_path / "parameters.toml"
    parameters.write_text("")

    def command(*words: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = cli.main(["--parameters", str(parameters), *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    command.parameters = parameters  # type: ignore[attr-defined]
    return command


class Stubbed(Account):
    """An account whose clients answer what a test says, to the calls that it expects."""

    def __init__(self) -> None:
        super().__init__(None, "eu-central-1", lambda line: self.said.append(line))
        self.said: list[str] = []
        self.stubs: dict[str, Stubber] = {}

    def client(self, service: str) -> Any:
        return self.stub(service).client

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            client = boto3.client(
                service,
                region_name="eu-central-1",
                aws_access_key_id="nobody",
                aws_secret_access_key="nothing",
            )
            self.stubs[service] = Stubber(client)
            self.stubs[service].activate()
        return self.stubs[service]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubbed]:
    monkeypatch.setattr(running, "POLL_SECONDS", 0)
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    account = Stubbed()
    yield account
    for stub in account.stubs.values():
        stub.assert_no_pending_responses()


def push(tag: str) -> str:
    """Put an image into the repository, as `latest` too; return its digest."""
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1}
    digest = "sha256:" + hashlib.sha256(tag.encode()).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                **layer,
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": digest,
            },
            "layers": [{**layer, "digest": digest}],
        }
    )
    client = boto3.client("ecr")
    for name in (tag, "latest"):
        made = client.put_image(repositoryName="facerec-api", imageManifest=manifest, imageTag=name)
    return str(made["image"]["imageId"]["imageDigest"])


@pytest.fixture
def deployed(run: Run) -> Run:
    """An account with everything deployed once."""
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    assert run("apply")[0] == 1  # there is no image yet
    push("sha-1")
    code, said = run("apply")
    assert code == 0, said
    return run


def parameter(part: str, name: str) -> str:
    found = boto3.client("cloudformation").describe_stacks(StackName=f"facerec-api-{part}")["Stacks"][0]
    return {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}[name]


# --- plan and apply ---


def test_a_plan_shows_what_would_be_made_and_makes_nothing(run: Run) -> None:
    code, said = run("plan")
    assert code == 0
    assert "AWS::EC2::VPC " in said
    assert "facerec-api-data: planned when the stacks before it are there" in said
    assert "/facerec/SECRET_KEY is missing; apply makes it up." in said
    assert "/facerec/PINECONE_API_KEY is missing; apply asks for it." in said
    assert (
        boto3.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]
        == []
    )
    assert boto3.client("ssm").describe_parameters()["Parameters"] == []
    assert run("apply", "--dry-run") == (code, said)


def test_apply_says_which_secret_it_can_t_make_up(run: Run) -> None:
    code, said = run("apply")
    assert code == 1
    assert "deploy/facerec-deploy secrets put PINECONE_API_KEY" in said
    assert boto3.client("cloudformation").list_stacks()["StackSummaries"] == []


def test_apply_before_the_first_push_makes_what_it_can_and_says_how_to_push(run: Run) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    code, said = run("apply")
    assert code == 1
    assert "image build && deploy/facerec-deploy image push" in said
    assert boto3.client("ecr").describe_repositories()["repositories"][0]["repositoryName"] == "facerec-api"


def test_everything_is_deployed_by_digest(deployed: Run) -> None:
    image = parameter("service", "Image")
    assert image.endswith(
        "@"
        + boto3.client("ecr").describe_images(repositoryName="facerec-api")["imageDetails"][0]["imageDigest"]
    )
    code, said = deployed("status")
    assert code == 0
    assert said.count("_COMPLETE") == 5
    assert image.partition("@")[2] in said


def test_a_second_apply_changes_nothing(deployed: Run) -> None:
    code, said = deployed("apply")
    assert code == 0
    assert said.count("nothing to change") == 5
    assert "  done" not in said


def test_a_new_image_is_deployed_and_a_rollback_brings_the_named_one_back(deployed: Run) -> None:
    # without --to: test_the_previous_image_is_the_last_one_that_differs, since moto keeps no such tasks
    before = parameter("service", "Image")
    push("sha-2")
    assert deployed("apply")[0] == 0
    assert parameter("service", "Image") != before
    assert deployed("rollback", "--to", "sha-1")[0] == 0
    assert parameter("service", "Image") == before
    code, said = deployed("rollback", "--to", "sha-none")
    assert code == 1
    assert "There is no image sha-none" in said


def test_a_rollback_leaves_what_parameters_toml_says_by_now_alone(deployed: Run) -> None:
    deployed.parameters.write_text("MaxTasks = 9\n")  # type: ignore[attr-defined]
    push("sha-2")
    deployed("apply")
    deployed.parameters.write_text("MaxTasks = 4\n")  # type: ignore[attr-defined]
    assert deployed("rollback", "--to", "sha-1")[0] == 0
    assert parameter("service", "MaxTasks") == "9"


def test_a_misspelt_parameter_is_refused(run: Run) -> None:
    run.parameters.write_text("MaxTask = 4\n")  # type: ignore[attr-defined]
    code, said = run("plan")
    assert (code, said.strip()) == (
        1,
        "facerec-deploy: No template has a parameter MaxTask. Did you mean MaxTasks?",
    )


@pytest.mark.parametrize(
    ("text", "problem"), [("MaxTasks =", "is not TOML"), ("MaxTasks = [1]", "must be a text")]
)
def test_a_file_that_can_t_be_read_is_refused(run: Run, text: str, problem: str) -> None:
    run.parameters.write_text(text)  # type: ignore[attr-defined]
    code, said = run("plan")
    assert code == 1
    assert problem in said


@pytest.mark.parametrize("part", ["network", "data", "edge", "service"])
def test_an_apply_that_is_interrupted_goes_on_when_it_is_run_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    apply = ChangeSet.apply

    def interrupted(self: ChangeSet) -> None:
        apply(self)
        if self.stack_name == f"facerec-api-{part}":
            # Ctrl-C, after AWS began, before we know how it went
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ChangeSet, "apply", interrupted)
        if part == "service":
            assert run("apply")[0] == 1  # no image yet
            push("sha-1")
        code, said = run("apply")
        assert code == 130
        assert "the same command waits for it" in said
    if part != "service":
        assert run("apply")[0] == 1
        push("sha-1")
    code, said = run("apply")
    assert code == 0, said
    assert run("apply")[1].count("nothing to change") == 5


STACK = {
    "StackName": "facerec-api-network",
    "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/facerec-api-network/1",
    "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
}
CHANGE_SET = "arn:aws:cloudformation:eu-central-1:123456789012:changeSet/1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [("REVIEW_IN_PROGRESS", "CREATE"), ("CREATE_COMPLETE", "UPDATE"), ("UPDATE_ROLLBACK_COMPLETE", "UPDATE")],
)
def test_a_change_set_is_made_for_what_the_stack_is(stubbed: Stubbed, status: str, kind: str) -> None:
    client = stubbed.stub("cloudformation")
    client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": status}]})
    client.add_response(
        "create_change_set",
        {"Id": CHANGE_SET},
        {
            "StackName": "facerec-api-network",
            "ChangeSetName": ANY,
            "ChangeSetType": kind,
            "TemplateBody": ANY,
            "Parameters": [{"ParameterKey": "NarrowEgress", "ParameterValue": "true"}],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "ImportExistingResources": True,
            "Tags": [{"Key": "application", "Value": "facerec-api"}],
            "RoleARN": "arn:aws:iam::123456789012:role/facerec-api-cloudformation",
        },
    )
    nothing = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    client.add_response("describe_change_set", nothing)
    client.add_response("delete_change_set", {})
    made = Stacks(stubbed, "arn:aws:iam::123456789012:role/facerec-api-cloudformation")
    assert made.plan("network", {"NarrowEgress": "true"}) == []


def test_a_stack_that_was_never_whole_is_made_anew(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    for _ in range(2):
        client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "ROLLBACK_COMPLETE"}]})
    client.add_response("delete_stack", {}, {"StackName": "facerec-api-network"})
    client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "DELETE_COMPLETE"}]})
    client.add_response("describe_stack_events", {"StackEvents": []})
    client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "DELETE_COMPLETE"}]})
    Stacks(stubbed).settle("network")
    assert "was never whole (ROLLBACK_COMPLETE)" in stubbed.said[0]


def test_what_another_run_began_is_waited_for(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    found, looked, done, end = (
        {"Stacks": [{**STACK, "StackStatus": status}]}
        for status in ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_COMPLETE")
    )
    client.add_response("describe_stacks", found)
    for state in (looked, done):
        client.add_response("describe_stacks", state)
        client.add_response("describe_stack_events", {"StackEvents": []})
    client.add_response("describe_stacks", end)
    Stacks(stubbed).settle("network")
    assert "is still UPDATE_IN_PROGRESS: waiting for it" in stubbed.said[0]


def test_a_stack_that_fails_is_told_with_the_resource_and_its_reason(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    event = {
        "StackId": STACK["StackId"], "EventId": "1", "StackName": "facerec-api-network",
        "LogicalResourceId": "NatGateway", "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "Elastic IP limit", "Timestamp": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    new = {"Stacks": [{**STACK, "StackStatus": "REVIEW_IN_PROGRESS"}]}
    failed = {"Stacks": [{**STACK, "StackStatus": "ROLLBACK_COMPLETE"}]}
    for _ in range(2):
        client.add_response("describe_stacks", new)
    client.add_response("create_change_set", {"Id": CHANGE_SET})
    client.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
    client.add_response("describe_change_set", {"Changes": []})
    client.add_response("execute_change_set", {}, {"ChangeSetName": CHANGE_SET})
    client.add_response("describe_stacks", failed)
    client.add_response("describe_stack_events", {"StackEvents": [event]})
    client.add_response("describe_stacks", failed)
    client.add_response("describe_stack_events", {"StackEvents": [event]})
    with pytest.raises(stacks.StackFailed, match=r"ROLLBACK_COMPLETE\.\n  NatGateway: Elastic IP limit"):
        Stacks(stubbed).apply("network", {})


def test_destroy_keeps_people_s_data_unless_told(deployed: Run) -> None:
    code, said = deployed("destroy", "--yes", "facerec-api")
    assert code == 0, said
    assert "facerec-api-data stays: people's data." in said
    left = {one for one in STACKS if Stacks(Account(None, None, print)).find(one)}
    assert left == {"network", "data"}


def test_destroy_asks_for_the_name(deployed: Run) -> None:
    code, said = deployed("destroy", stdin="yes\n")
    assert code == 1
    assert "Nothing was taken away." in said
    assert Stacks(Account(None, None, print)).find("service") is not None


def test_destroy_with_data_takes_the_stacks_away(deployed: Run) -> None:
    code, said = deployed("destroy", "--data", "--yes", "facerec-api")
    assert code == 0, said
    assert not any(Stacks(Account(None, None, print)).find(one) for one in STACKS)


# --- secrets ---


def test_a_secret_is_read_from_standard_input_and_never_shown(run: Run) -> None:
    code, said = run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account\n")
    assert code == 0
    assert "pcsk" not in said
    found = boto3.client("ssm").get_parameter(Name="/facerec/PINECONE_API_KEY", WithDecryption=True)[
        "Parameter"
    ]
    assert (found["Type"], found["Value"]) == ("SecureString", "pcsk_of-no-account")
    code, said = run("secrets", "list")
    assert "pcsk" not in said
    assert "/facerec/SECRET_KEY              missing" in said


def test_no_word_takes_a_secret_as_an_argument(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("secrets", "put", "PINECONE_API_KEY", "pcsk_of-no-account")
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_empty_secret_is_refused(run: Run, value: str) -> None:
    code, said = run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    assert code == 1
    assert "was not changed" in said


def test_secrets_bear_the_tags_that_copilot_asks_for(run: Run) -> None:
    for value in ("first", "second"):
        run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    tags = boto3.client("ssm").list_tags_for_resource(
        ResourceType="Parameter", ResourceId="/facerec/PINECONE_API_KEY"
    )["TagList"]
    assert {one["Key"]: one["Value"] for one in tags} == {
        "copilot-application": "facerec",
        "copilot-environment": "prod",
    }


def test_a_made_up_secret_is_not_made_up_again_by_mistake(run: Run) -> None:
    assert run("secrets", "put", "SECRET_KEY", "--generate")[0] == 0
    code, said = run("secrets", "put", "SECRET_KEY", "--generate")
    assert code == 1
    assert "secrets rotate SECRET_KEY" in said
    code, said = run("secrets", "put", "PINECONE_API_KEY", "--generate")
    assert code == 1
    assert "comes from elsewhere" in said


def secret(name: str) -> str:
    found = boto3.client("ssm").get_parameter(Name=f"/facerec/{name}", WithDecryption=True)["Parameter"]
    return str(found["Value"])


def test_rotating_a_secret_starts_new_tasks(deployed: Run) -> None:
    before = secret("SECRET_KEY")
    code, said = deployed("secrets", "rotate", "SECRET_KEY")
    assert code == 0, said
    assert secret("SECRET_KEY") != before
    assert secret("SECRET_KEY") not in said
    assert "facerec-api: new tasks are being started" in said
    assert "facerec-api-worker: new tasks are being started" in said


def test_rotating_the_database_s_password_tells_the_database(deployed: Run) -> None:
    code, said = deployed("secrets", "rotate", "DATABASE_PASSWORD")
    assert code == 0, said
    assert "The database takes the new password" in said


def test_rotating_the_administrator_s_password_says_where_it_is_changed(run: Run) -> None:
    code, said = run("secrets", "rotate", "ADMIN_PASSWORD")
    assert code == 1
    assert "Change the password in the admin" in said


# --- images ---


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that notes what it was told, and what came by standard input."""
    notes = tmp_path / "docker.log"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s " "$@" >> {notes}\necho >> {notes}\n'
        f'[ "$1" = login ] && cat > {tmp_path}/stdin\n[ -z "$FAILS" ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return notes


@dataclass
class Checkout:
    folder: Path
    commit: str
    """Its first twelve digits."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Have the command stand in a checkout of one commit."""
    folder = tmp_path / "checkout"
    monkeypatch.setattr(images, "ROOT", folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", folder, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    subprocess.run(["git", "init", "--quiet", folder], check=True)
    git("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "--allow-empty", "-m", "1")
    return Checkout(folder, git("rev-parse", "--short=12", "HEAD"))


def test_an_image_is_pushed_under_both_tags_and_the_password_is_no_argument(
    deployed: Run, docker: Path, checkout: Checkout
) -> None:
    tag = f"sha-{checkout.commit}"
    push(tag)  # the `docker` here only notes it
    code, said = deployed("image", "build")
    assert code == 0, said
    code, said = deployed("image", "push")
    assert code == 0, said
    calls = [line.strip() for line in docker.read_text().splitlines()]
    assert calls[0] == (
        "build --platform linux/amd64 --tag facerec-api:latest --file docker/api/Dockerfile ."
    )
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert calls[1] == f"login --username AWS --password-stdin {host}"
    assert [call for call in calls if call.startswith("push")] == [
        f"push {host}/facerec-api:{tag}",
        f"push {host}/facerec-api:latest",
    ]
    password = (docker.parent / "stdin").read_text()
    assert password
    assert password not in docker.read_text() + said
    assert "@sha256:" in said


def test_a_build_that_fails_says_so(run: Run, docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "1")
    code, said = run("image", "build")
    assert code == 1
    assert "`docker build` failed with 1" in said


def test_without_a_builder_the_command_says_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = run("image", "build")
    assert code == 1
    assert "Neither docker nor podman" in said


def test_a_changed_checkout_is_told_from_its_commit(checkout: Checkout) -> None:
    assert images.version_tag() == f"sha-{checkout.commit}"
    (checkout.folder / "new.txt").touch()
    assert images.version_tag() == f"sha-{checkout.commit}-changed"


# --- tasks: exact calls ---

NETWORK = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/facerec-api-cluster/0123456789abcdef"


def _expect_a_command(account: Stubbed, *, code: int | None) -> None:
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
    asked = {"logGroupName": "/ecs/facerec-api", "logStreamNames": ["ecs/worker/0123456789abcdef"]}
    container = {"name": "worker"} if code is None else {"name": "worker", "exitCode": code}
    for status, lines in (("RUNNING", ["first"]), ("STOPPED", ["first", "second"])):
        ecs.add_response(
            "describe_tasks",
            {"tasks": [{"lastStatus": status, "containers": [container], "stoppedReason": "no image"}]},
            {"cluster": "facerec-api-cluster", "tasks": [TASK]},
        )
        logs.add_response("filter_log_events", {"events": [{"message": line} for line in lines]}, asked)


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_runs_in_a_task_of_its_own_and_its_exit_code_is_ours(stubbed: Stubbed, code: int) -> None:
    _expect_a_command(stubbed, code=code)
    command = ["python", "manage.py", "verify_audit"]
    assert running.run_command(stubbed, command, NETWORK, "facerec-api-worker:7") == code
    assert stubbed.said[1:] == ["first", "second"]


def test_a_task_that_never_ran_says_why(stubbed: Stubbed) -> None:
    _expect_a_command(stubbed, code=None)
    with pytest.raises(cli.Refused, match="never ran: no image"):
        running.run_command(stubbed, ["python", "manage.py", "verify_audit"], NETWORK, "facerec-api-worker:7")


def test_the_log_of_one_container_is_asked_for_by_its_streams(stubbed: Stubbed) -> None:
    asked = {"logGroupName": "/ecs/facerec-api", "startTime": ANY, "logStreamNamePrefix": "ecs/worker"}
    stubbed.stub("logs").add_response("filter_log_events", {"events": []}, asked)
    assert list(running.log_lines(stubbed, timedelta(minutes=1), "worker")) == []


def test_new_tasks_are_forced_for_each_service(stubbed: Stubbed) -> None:
    ecs = stubbed.stub("ecs")
    found = [{"serviceName": name, "status": "ACTIVE"} for name in running.SERVICES]
    asked = {"cluster": "facerec-api-cluster", "services": ["facerec-api", "facerec-api-worker"]}
    ecs.add_response("describe_services", {"services": found}, asked)
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
    asked = {"cluster": "facerec-api-cluster", "services": list(running.SERVICES)}
    service = {"serviceName": "facerec-api", "status": "ACTIVE", "taskDefinition": f"{family}:10"}
    ecs.add_response("describe_services", {"services": [service]}, asked)

    def described(number: int, image: str) -> None:
        containers = [{"name": "prepare", "image": image}, {"name": "api", "image": image}]
        ecs.add_response(
            "describe_task_definition",
            {"taskDefinition": {"containerDefinitions": containers}},
            {"taskDefinition": f"{family}:{number}"},
        )

    described(10, "new")
    for status, numbers in (("ACTIVE", [9, 10]), ("INACTIVE", [8])):
        ecs.add_response(
            "list_task_definitions",
            # the worker's family begins alike
            {"taskDefinitionArns": [f"{family}:{number}" for number in numbers] + [f"{family}-worker:9"]},
            {"familyPrefix": "facerec-api", "status": status},
        )
    described(9, "new")
    described(8, "old")
    assert running.previous_image(stubbed) == "old"


# --- words ---


def test_the_log_is_told_with_its_container(run: Run) -> None:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/ecs/facerec-api")
    for container in ("api", "worker"):
        stream = {"logGroupName": "/ecs/facerec-api", "logStreamName": f"ecs/{container}/1"}
        logs.create_log_stream(**stream)
        event = {"timestamp": int(time.time() * 1000), "message": f"from {container}"}
        logs.put_log_events(**stream, logEvents=[event])
    code, said = run("logs", "--since", "5m")
    assert code == 0
    assert "api      from api" in said
    assert "worker   from worker" in said


@pytest.mark.parametrize("words", [("status",), ("logs",), ("rollback",), ("exec", "--", "true")])
def test_before_the_first_deployment_every_word_answers_plainly(run: Run, words: tuple[str, ...]) -> None:
    code, said = run(*words)
    assert "Traceback" not in said
    assert code == (0 if words == ("status",) else 1)
    assert ("not there" if words == ("status",) else "is deployed yet") in said


def test_a_missing_region_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    code, said = run("status")
    assert code == 1
    assert "No region" in said


@pytest.mark.parametrize("words", [("--region", "eu-west-1", "status"), ("status", "--region", "eu-west-1")])
def test_profile_and_region_may_stand_before_the_word_or_behind_it(words: tuple[str, ...]) -> None:
    options = cli.parser().parse_args(words)
    assert (options.region, options.profile) == ("eu-west-1", None)


def test_a_missing_library_is_told_with_the_command_that_brings_it() -> None:
    done = subprocess.run(
        [sys.executable, "-S", FOLDER / "facerec-deploy", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install --require-hashes -r requirements/deploy.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_aws_refuses_is_told_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, said = run("status")
    assert code == 1
    assert said.startswith("facerec-deploy: AWS can't be asked")


def test_the_command_runs_as_a_program_and_every_word_stands_in_its_guide() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "facerec-deploy", "--help"], capture_output=True, text=True, check=True
    )
    guide = (FOLDER / "README.md").read_text()
    for word in ("plan", "apply", "status", "rollback", "logs", "exec", "secrets", "image", "destroy"):
        assert f"  {word} " in done.stdout
        assert f"facerec-deploy {word}" in guide, f"deploy/README.md does not tell of {word}"


def test_the_example_parameters_are_names_that_templates_have() -> None:
    known = {
        name for part in STACKS for name in read(FOLDER / "cloudformation" / f"{part}.yaml")["Parameters"]
    }
    text = (FOLDER / "parameters.toml").read_text()
    shown = {line.lstrip("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert shown
    assert shown <= known


def test_it_makes_no_secret_known_to_its_own_log(run: Run) -> None:
    store = SecretStore(Account(None, None, print))
    value = store.generate("DATABASE_PASSWORD")
    assert len(value) >= 40
    assert not set(value) & set("/@\" '")  # RDS takes no such signs
