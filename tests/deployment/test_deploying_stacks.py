"""Stacks are planned, created, resumed after an interruption, rolled back and deleted."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import ANY
from facerec_deploy import stacks
from facerec_deploy.account import Account
from facerec_deploy.configuration import STACKS
from facerec_deploy.stacks import Stacks

from tests.deployment.operating import Operator, Stubbed, push

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")]


def parameter(part: str, name: str) -> str:
    stack = boto3.client("cloudformation").describe_stacks(StackName=f"facerec-api-{part}")["Stacks"][0]
    return str({entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}[name])


def test_a_plan_shows_what_would_be_created_and_creates_nothing(run: Operator) -> None:
    code, output = run("plan")
    assert code == 0
    assert "AWS::EC2::VPC " in output
    assert "facerec-api-data: " in output
    assert "/facerec/SECRET_KEY is missing" in output
    assert "secrets put PINECONE_API_KEY" in output
    assert (
        boto3.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]
        == []
    )
    assert boto3.client("ssm").describe_parameters()["Parameters"] == []
    assert run("apply", "--dry-run") == (code, output)


def test_apply_names_the_secret_that_it_cannot_generate(run: Operator) -> None:
    code, output = run("apply")
    assert code == 1
    assert "deploy/facerec-deploy secrets put PINECONE_API_KEY" in output
    assert boto3.client("cloudformation").list_stacks()["StackSummaries"] == []


def test_apply_before_the_first_push_creates_what_it_can_and_explains_how_to_push(run: Operator) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    code, output = run("apply")
    assert code == 1
    assert "image build && deploy/facerec-deploy image push" in output
    assert boto3.client("ecr").describe_repositories()["repositories"][0]["repositoryName"] == "facerec-api"


def test_everything_is_deployed_by_digest(deployed: Operator) -> None:
    image = parameter("service", "Image")
    assert image.endswith(
        "@"
        + boto3.client("ecr").describe_images(repositoryName="facerec-api")["imageDetails"][0]["imageDigest"]
    )
    code, output = deployed("status")
    assert code == 0
    assert output.count("_COMPLETE") == 5
    assert image.partition("@")[2] in output


def test_a_second_apply_changes_nothing(deployed: Operator) -> None:
    code, output = deployed("apply")
    assert code == 0
    assert output.count("nothing to change") == 5
    assert "  done" not in output


def test_a_rollback_deploys_the_named_image_again(deployed: Operator) -> None:
    # moto lacks the task definitions of earlier deployments, so `rollback` without --to is covered by
    # test_the_previous_image_is_the_last_one_that_differs
    first_image = parameter("service", "Image")
    push("sha-2")
    assert deployed("apply")[0] == 0
    assert parameter("service", "Image") != first_image
    assert deployed("rollback", "--to", "sha-1")[0] == 0
    assert parameter("service", "Image") == first_image
    code, output = deployed("rollback", "--to", "sha-none")
    assert code == 1
    assert "sha-none" in output


def test_a_rollback_keeps_the_deployed_parameters(deployed: Operator) -> None:
    deployed.parameters.write_text("MaxTasks = 9\n")
    push("sha-2")
    deployed("apply")
    deployed.parameters.write_text("MaxTasks = 4\n")
    assert deployed("rollback", "--to", "sha-1")[0] == 0
    assert parameter("service", "MaxTasks") == "9"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Receive Ctrl-C even if the tests were started in the background, where it is ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("part", ["network", "data", "edge", "service"])
def test_an_interrupted_apply_resumes_when_it_is_run_again(
    interruptible: None, run: Operator, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    from moto.cloudformation.models import ChangeSet  # importing it takes seconds: see moto_templates

    apply = ChangeSet.apply

    def interrupted(self: ChangeSet) -> None:
        apply(self)
        if self.stack_name == f"facerec-api-{part}":
            # Ctrl-C after AWS has started the change, and before we know the result. A signal wouldn't work,
            # because OpenVINO leaves a signal handler behind after other tests in this process
            _thread.interrupt_main()

    with monkeypatch.context() as patch:
        patch.setattr(ChangeSet, "apply", interrupted)
        if part == "service":
            assert run("apply")[0] == 1  # no image yet
            push("sha-1")
        code, output = run("apply")
        assert code == 130, output
        assert "same command" in output
    if part != "service":
        assert run("apply")[0] == 1
        push("sha-1")
    code, output = run("apply")
    assert code == 0, output
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
def test_the_type_of_a_change_set_depends_on_the_state_of_the_stack(
    stubbed: Stubbed, status: str, kind: str
) -> None:
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
    no_changes = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    client.add_response("describe_change_set", no_changes)
    client.add_response("delete_change_set", {})
    account_stacks = Stacks(stubbed, "arn:aws:iam::123456789012:role/facerec-api-cloudformation")
    assert account_stacks.plan("network", {"NarrowEgress": "true"}) == []


def test_a_stack_whose_creation_failed_is_deleted_first(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    for _ in range(2):
        client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "ROLLBACK_COMPLETE"}]})
    client.add_response("delete_stack", {}, {"StackName": "facerec-api-network"})
    client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "DELETE_COMPLETE"}]})
    client.add_response("describe_stack_events", {"StackEvents": []})
    client.add_response("describe_stacks", {"Stacks": [{**STACK, "StackStatus": "DELETE_COMPLETE"}]})
    Stacks(stubbed).settle("network")
    assert "ROLLBACK_COMPLETE" in stubbed.output[0]


def test_an_operation_of_an_earlier_run_is_finished_first(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    initial, running, complete, final = (
        {"Stacks": [{**STACK, "StackStatus": status}]}
        for status in ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_COMPLETE")
    )
    client.add_response("describe_stacks", initial)
    for state in (running, complete):
        client.add_response("describe_stacks", state)
        client.add_response("describe_stack_events", {"StackEvents": []})
    client.add_response("describe_stacks", final)
    Stacks(stubbed).settle("network")
    assert "UPDATE_IN_PROGRESS" in stubbed.output[0]


def test_a_failed_stack_is_reported_with_the_resource_and_its_reason(stubbed: Stubbed) -> None:
    client = stubbed.stub("cloudformation")
    event = {
        "StackId": STACK["StackId"], "EventId": "1", "StackName": "facerec-api-network",
        "LogicalResourceId": "NatGateway", "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "Elastic IP limit", "Timestamp": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    in_review = {"Stacks": [{**STACK, "StackStatus": "REVIEW_IN_PROGRESS"}]}
    failed = {"Stacks": [{**STACK, "StackStatus": "ROLLBACK_COMPLETE"}]}
    for _ in range(2):
        client.add_response("describe_stacks", in_review)
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


def test_destroy_keeps_data_by_default(deployed: Operator) -> None:
    code, output = deployed("destroy", "--yes", "facerec-api")
    assert code == 0, output
    assert "destroy --data" in output
    remaining = {part for part in STACKS if Stacks(Account(None, None, print)).find(part)}
    assert remaining == {"network", "data"}


def test_destroy_requires_the_name_of_the_service(deployed: Operator) -> None:
    code, output = deployed("destroy", stdin="yes\n")
    assert code == 1
    assert "nothing was deleted" in output
    assert Stacks(Account(None, None, print)).find("service") is not None


def test_destroy_with_data_deletes_all_stacks(deployed: Operator) -> None:
    code, output = deployed("destroy", "--data", "--yes", "facerec-api")
    assert code == 0, output
    assert not any(Stacks(Account(None, None, print)).find(part) for part in STACKS)
