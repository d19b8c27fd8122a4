"""Stacks: planned, made, gone on with after an interruption, rolled back, taken away."""

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
    found = boto3.client("cloudformation").describe_stacks(StackName=f"facerec-api-{part}")["Stacks"][0]
    return str({one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}[name])


def test_a_plan_shows_what_would_be_made_and_makes_nothing(run: Operator) -> None:
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


def test_apply_says_which_secret_it_can_t_make_up(run: Operator) -> None:
    code, said = run("apply")
    assert code == 1
    assert "deploy/facerec-deploy secrets put PINECONE_API_KEY" in said
    assert boto3.client("cloudformation").list_stacks()["StackSummaries"] == []


def test_apply_before_the_first_push_makes_what_it_can_and_says_how_to_push(run: Operator) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    code, said = run("apply")
    assert code == 1
    assert "image build && deploy/facerec-deploy image push" in said
    assert boto3.client("ecr").describe_repositories()["repositories"][0]["repositoryName"] == "facerec-api"


def test_everything_is_deployed_by_digest(deployed: Operator) -> None:
    image = parameter("service", "Image")
    assert image.endswith(
        "@"
        + boto3.client("ecr").describe_images(repositoryName="facerec-api")["imageDetails"][0]["imageDigest"]
    )
    code, said = deployed("status")
    assert code == 0
    assert said.count("_COMPLETE") == 5
    assert image.partition("@")[2] in said


def test_a_second_apply_changes_nothing(deployed: Operator) -> None:
    code, said = deployed("apply")
    assert code == 0
    assert said.count("nothing to change") == 5
    assert "  done" not in said


def test_a_new_image_is_deployed_and_a_rollback_brings_the_named_one_back(deployed: Operator) -> None:
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


def test_a_rollback_leaves_what_parameters_toml_says_by_now_alone(deployed: Operator) -> None:
    deployed.parameters.write_text("MaxTasks = 9\n")
    push("sha-2")
    deployed("apply")
    deployed.parameters.write_text("MaxTasks = 4\n")
    assert deployed("rollback", "--to", "sha-1")[0] == 0
    assert parameter("service", "MaxTasks") == "9"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Hear Ctrl-C, also when the tests were started in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("part", ["network", "data", "edge", "service"])
def test_an_apply_that_is_interrupted_goes_on_when_it_is_run_again(
    interruptible: None, run: Operator, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    from moto.cloudformation.models import ChangeSet  # loading it takes seconds: see moto_templates

    apply = ChangeSet.apply

    def interrupted(self: ChangeSet) -> None:
        apply(self)
        if self.stack_name == f"facerec-api-{part}":
            # Ctrl-C, after AWS began, before we know how it went. Not by the signal itself: OpenVINO
            # leaves a handler behind when an engine is gone, as after other tests of this process
            _thread.interrupt_main()

    with monkeypatch.context() as patch:
        patch.setattr(ChangeSet, "apply", interrupted)
        if part == "service":
            assert run("apply")[0] == 1  # no image yet
            push("sha-1")
        code, said = run("apply")
        assert code == 130, said
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


def test_destroy_keeps_people_s_data_unless_told(deployed: Operator) -> None:
    code, said = deployed("destroy", "--yes", "facerec-api")
    assert code == 0, said
    assert "facerec-api-data stays: people's data." in said
    left = {one for one in STACKS if Stacks(Account(None, None, print)).find(one)}
    assert left == {"network", "data"}


def test_destroy_asks_for_the_name(deployed: Operator) -> None:
    code, said = deployed("destroy", stdin="yes\n")
    assert code == 1
    assert "Nothing was taken away." in said
    assert Stacks(Account(None, None, print)).find("service") is not None


def test_destroy_with_data_takes_the_stacks_away(deployed: Operator) -> None:
    code, said = deployed("destroy", "--data", "--yes", "facerec-api")
    assert code == 0, said
    assert not any(Stacks(Account(None, None, print)).find(one) for one in STACKS)
