"""The templates that Copilot's binary renders keep the contract, line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.deployment import copilot
from tests.deployment.contract import CONTRACT
from tests.deployment.copilot import (
    ROOT,
    WORKLOADS,
    Rendered,
    allowed_on,
    commands,
    container,
    environment,
    manifest,
    secrets,
    statements,
)

NOT_KEPT = {
    "ecr-name": "the operator creates the repository `facerec-api`, because Copilot names its own after the "
    "app and service. The manifests' image.location uses the contract's name.",
    "listener-action": "Copilot's listener forwards with a rule for /*; its default action leads to an empty "
    "target group.",
}


def ecr_latest(r: Rendered) -> None:
    assert container(r.api, "api")["Image"].endswith(":latest")  # with IMAGE_TAG=latest
    assert "docker push $registry/facerec-api:latest" in commands()


def platform(r: Rendered) -> None:
    assert "docker build --platform linux/amd64 " in commands()
    for workload in WORKLOADS:
        assert manifest(f"{workload}/manifest.yml")["platform"] == "linux/amd64"
        # Fargate's own default is Linux on x86-64, so Copilot leaves it out
        assert r.all()[workload]["TaskDefinition"].get("RuntimePlatform") is None


def dockerfile(r: Rendered) -> None:
    assert (
        "docker build --platform linux/amd64 -t facerec-api:latest -f docker/api/Dockerfile ." in commands()
    )


def cluster_name(r: Rendered) -> None:
    assert r.environment["Cluster"]["ClusterName"] == "facerec-api-cluster"
    assert r.environment.outputs()["facerec-prod-ClusterId"] == "<Cluster>"
    assert r.api["Service"]["Cluster"] == "<import facerec-prod-ClusterId>"


def cluster_capacity(r: Rendered) -> None:
    assert r.environment["Cluster"]["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]


def launch_type(r: Rendered) -> None:
    assert r.api["Service"]["LaunchType"] == "FARGATE"
    assert r.api["TaskDefinition"]["RequiresCompatibilities"] == ["FARGATE"]


def scale_up(r: Rendered) -> None:
    alarm, policy = r.api["HighCpu"], r.api["ScaleUp"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 70)
    assert (alarm["EvaluationPeriods"], alarm["Period"]) == (2, 60)
    assert alarm["AlarmActions"] == ["<ScaleUp>"]
    steps = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    assert_measures_the_service(alarm)


def scale_down(r: Rendered) -> None:
    alarm, policy = r.api["LowCpu"], r.api["ScaleDown"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 30)
    assert (alarm["EvaluationPeriods"], alarm["Period"]) == (10, 60)
    assert alarm["AlarmActions"] == ["<ScaleDown>"]
    steps = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1}]
    assert_measures_the_service(alarm)


def assert_measures_the_service(alarm: dict[str, Any]) -> None:
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ECS", "CPUUtilization")
    assert {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]} == {
        "ClusterName": "<import facerec-prod-ClusterId>",
        "ServiceName": "<Service.Name>",
    }


def scale_limits(r: Rendered) -> None:
    target = r.api["AutoScalingTarget"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    policies = r.api.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
    assert policies.keys() == {"ScaleUp", "ScaleDown"}  # and no target tracking
    assert {policy["ScalingTargetId"] for policy in policies.values()} == {"<AutoScalingTarget>"}


def desired_count(r: Rendered) -> None:
    # Copilot's function returns the number of running tasks, so that a deployment keeps it; 1 if none runs
    assert r.api["Service"]["DesiredCount"] == "<DynamicDesiredCountAction.DesiredCount>"
    assert r.api["DynamicDesiredCountAction"]["DefaultDesiredCount"] == "1"


def log_driver(r: Rendered) -> None:
    assert r.api["LogGroup"]["LogGroupName"] == "/ecs/facerec-api"
    for name in ("api", "prepare"):
        assert container(r.api, name)["LogConfiguration"] == {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": "<LogGroup>",
                "awslogs-region": copilot.REGION,
                "awslogs-stream-prefix": "ecs",
            },
        }


def alb_scheme(r: Rendered) -> None:
    balancer = r.environment["PublicLoadBalancer"]
    assert (balancer["Scheme"], balancer["Type"]) == ("internet-facing", "application")


def listener(r: Rendered) -> None:
    properties = r.environment["HTTPListener"]
    assert (properties["Port"], properties["Protocol"]) == (80, "HTTP")
    assert properties["LoadBalancerArn"] == "<PublicLoadBalancer>"


def target_group_protocol(r: Rendered) -> None:
    group = r.api["TargetGroup"]
    assert (group["Protocol"], group["Port"], group["TargetType"]) == ("HTTP", 8000, "ip")


def health_path(r: Rendered) -> None:
    group = r.api["TargetGroup"]
    assert group["HealthCheckPath"] == "/health"
    assert (group["HealthCheckProtocol"], group["HealthCheckPort"]) == ("HTTP", 8000)


def health_thresholds(r: Rendered) -> None:
    group = r.api["TargetGroup"]
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (2, 2)


def execution_role_ssm(r: Rendered) -> None:
    assert statements(r, "ReadSecrets") == [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameters", "ssm:GetParameter"],
            "Resource": f"arn:aws:ssm:{copilot.REGION}:{copilot.ACCOUNT}:parameter/facerec/*",
        }
    ]
    for workload in WORKLOADS:
        policies = r.all()[workload]["ExecutionRole"]["ManagedPolicyArns"]
        assert "<import facerec-prod-ReadSecrets>" in policies


def task_role_s3(r: Rendered) -> None:
    objects = allowed_on(r, "UsePhotosAndQueue", "<PhotoBucket.Arn>/*")
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} <= objects
    assert r.api["TaskRole"]["ManagedPolicyArns"] == ["<import facerec-prod-UsePhotosAndQueue>"]


def alb_sg_in(r: Rendered) -> None:
    rules = r.environment["PublicHTTPLoadBalancerSecurityGroup"]["SecurityGroupIngress"]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIp"]) for rule in rules] == [
        ("tcp", 80, 80, "0.0.0.0/0")
    ]
    # the HTTPS group is created only with a certificate
    assert r.environment.body["Resources"]["PublicHTTPSLoadBalancerSecurityGroup"]["Condition"] == (
        "ExportHTTPSListener"
    )
    assert r.environment.parameters["CreateHTTPSListener"] == "false"


def alb_sg_out(r: Rendered) -> None:
    rules = r.environment["PublicHTTPLoadBalancerSecurityGroup"]["SecurityGroupEgress"]
    assert [(rule["IpProtocol"], rule["DestinationSecurityGroupId"]) for rule in rules] == [
        ("-1", "<EnvironmentSecurityGroup.GroupId>")
    ]


def ecs_sg_in(r: Rendered) -> None:
    assert "SecurityGroupIngress" not in r.environment["EnvironmentSecurityGroup"]
    rules = [
        rule
        for rule in r.environment.of_type("AWS::EC2::SecurityGroupIngress").values()
        if "EnvironmentSecurityGroup" in rule["GroupId"]
    ]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in rules] == [("tcp", 8000, 8000)]
    assert rules[0]["SourceSecurityGroupId"] == "<PublicHTTPLoadBalancerSecurityGroup>"


def ecs_sg_out(r: Rendered) -> None:
    rules = r.environment["EnvironmentSecurityGroup"]["SecurityGroupEgress"]
    assert [(rule["IpProtocol"], rule["CidrIp"]) for rule in rules] == [("-1", "0.0.0.0/0")]


def private_subnets(r: Rendered) -> None:
    for workload in ("api", "worker"):
        network = r.all()[workload]["Service"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["Subnets"] == "<import facerec-prod-PrivateSubnets>"
        assert network["AssignPublicIp"] == "DISABLED"
    job = r.maintenance["StateMachine"]["DefinitionSubstitutions"]
    assert job["Subnets"] == "<import facerec-prod-PrivateSubnets>"
    assert job["AssignPublicIp"] == "DISABLED"


def log_retention(r: Rendered) -> None:
    assert r.api["LogGroup"]["RetentionInDays"] == "30"


def metrics(r: Rendered) -> None:
    widgets = json.loads(r.api["Dashboard"]["DashboardBody"])["widgets"]
    metric_names = {metric[1] for widget in widgets for metric in widget["properties"]["metrics"]}
    assert {"CPUUtilization", "MemoryUtilization", "RequestCount", "TargetResponseTime"} <= metric_names
    assert "HTTPCode_Target_5XX_Count" in metric_names


CHECKS: dict[str, Callable[[Rendered], None]] = {
    "ecr-latest": ecr_latest,
    "platform": platform,
    "dockerfile": dockerfile,
    "cluster-name": cluster_name,
    "cluster-capacity": cluster_capacity,
    "launch-type": launch_type,
    "scale-up": scale_up,
    "scale-down": scale_down,
    "scale-limits": scale_limits,
    "desired-count": desired_count,
    "log-driver": log_driver,
    "alb-scheme": alb_scheme,
    "listener": listener,
    "target-group-protocol": target_group_protocol,
    "health-path": health_path,
    "health-thresholds": health_thresholds,
    "execution-role-ssm": execution_role_ssm,
    "task-role-s3": task_role_s3,
    "alb-sg-in": alb_sg_in,
    "alb-sg-out": alb_sg_out,
    "ecs-sg-in": ecs_sg_in,
    "ecs-sg-out": ecs_sg_out,
    "private-subnets": private_subnets,
    "log-retention": log_retention,
    "metrics": metrics,
}
# Lines about a single value: a function that returns it, and the expected value.
VALUES: dict[str, tuple[Callable[[Rendered], Any], Any]] = {
    "task-family": (lambda r: r.api["TaskDefinition"]["Family"], "facerec-api"),
    "task-cpu": (lambda r: r.api["TaskDefinition"]["Cpu"], "1024"),
    "task-memory": (lambda r: r.api["TaskDefinition"]["Memory"], "4096"),
    "container-name": (lambda r: r.api["TaskDefinition"]["ContainerDefinitions"][0]["Name"], "api"),
    "container-port": (
        lambda r: [
            (mapping["ContainerPort"], mapping["Protocol"])
            for mapping in container(r.api, "api")["PortMappings"]
        ],
        [(8000, "tcp")],
    ),
    "container-environment": (lambda r: environment(r.api, "api")["ENVIRONMENT"], "production"),
    "secret-access-key-id": (
        lambda r: secrets(r.api_with_static_keys, "api")["AWS_ACCESS_KEY_ID"],
        "/facerec/AWS_ACCESS_KEY_ID",
    ),
    "secret-secret-access-key": (
        lambda r: secrets(r.api_with_static_keys, "api")["AWS_SECRET_ACCESS_KEY"],
        "/facerec/AWS_SECRET_ACCESS_KEY",
    ),
    "secret-pinecone": (lambda r: secrets(r.api, "api")["PINECONE_API_KEY"], "/facerec/PINECONE_API_KEY"),
    "service-name": (lambda r: r.api["Service"]["ServiceName"], "facerec-api"),
    "alb-name": (lambda r: r.environment["PublicLoadBalancer"]["Name"], "facerec-api-alb"),
    "target-group-name": (lambda r: r.api["TargetGroup"]["Name"], "facerec-api-tg"),
    "health-timeout": (lambda r: r.api["TargetGroup"]["HealthCheckTimeoutSeconds"], 5),
    "health-interval": (lambda r: r.api["TargetGroup"]["HealthCheckIntervalSeconds"], 30),
    "execution-role-name": (lambda r: r.api["ExecutionRole"]["RoleName"], "ecsTaskExecutionRole"),
    "execution-role-managed": (
        lambda r: r.api["ExecutionRole"]["ManagedPolicyArns"][0],
        "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    ),
    "task-role-name": (lambda r: r.api["TaskRole"]["RoleName"], "ecsTaskRole"),
    "alb-sg-name": (
        lambda r: r.environment["PublicHTTPLoadBalancerSecurityGroup"]["GroupName"],
        "facerec-api-alb-sg",
    ),
    "ecs-sg-name": (lambda r: r.environment["EnvironmentSecurityGroup"]["GroupName"], "facerec-api-ecs-sg"),
}


def test_each_line_of_the_contract_is_checked_or_declared_as_not_kept() -> None:
    lines = [*CHECKS, *VALUES, *NOT_KEPT]
    assert sorted(lines) == sorted(CONTRACT)


@pytest.mark.parametrize("line", [*CHECKS, *VALUES])
def test_the_rendered_templates_keep_the_contract(line: str, rendered: Rendered) -> None:
    if line in CHECKS:
        CHECKS[line](rendered)
    else:
        get_value, expected = VALUES[line]
        assert get_value(rendered) == expected, CONTRACT[line]


@pytest.mark.parametrize("line", NOT_KEPT)
def test_the_guide_lists_every_line_that_is_not_kept(line: str) -> None:
    assert f"`{line}`" in (ROOT / "docs" / "aws.md").read_text()
