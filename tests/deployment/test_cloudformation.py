"""The CloudFormation templates keep every line of the contract, and have further properties."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.contract import CONTRACT
from tests.deployment.templates import FOLDER, read, resources

DIGEST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/facerec-api@sha256:" + "0" * 64
SUBNETS = ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]
GIVEN: dict[str, dict[str, Any]] = {
    "network": {},
    "data": {"PrivateSubnets": SUBNETS, "DatabaseSecurityGroupId": "sg-0db"},
    "edge": {"VpcId": "vpc-0a1b2c3d", "PublicSubnets": SUBNETS, "AlbSecurityGroupId": "sg-0a1b"},
    "service": {
        "Image": DIGEST, "PrivateSubnets": SUBNETS, "EcsSecurityGroupId": "sg-0ec5",
        "TargetGroupArn": "arn:tg", "LoadBalancerFullName": "app/facerec-api-alb/1",
        "ServiceHost": "faces.example.org", "ServiceScheme": "http", "DatabaseHost": "db.internal",
        "BucketName": "photos", "QueueUrl": "https://sqs/q", "QueueArn": "arn:queue",
    },
    "ops": {
        "ClusterName": "facerec-api-cluster", "ServiceName": "facerec-api", "WorkerServiceName": "facerec-api-worker",
        "LoadBalancerFullName": "app/facerec-api-alb/1", "TargetGroupFullName": "targetgroup/facerec-api-tg/1",
        "QueueName": "q", "DeadLetterQueueName": "d", "DatabaseId": "db", "DatabaseArn": "arn:db",
        "LogGroupName": "/ecs/facerec-api",
    },
    "ci": {"GitHubRepository": "example/facerec-api"},
}  # fmt: skip


def stack(name: str, **parameters: Any) -> dict[str, dict[str, Any]]:
    """Return the properties of a stack's resources, by their names in the template."""
    resolved = resources(read(FOLDER / f"{name}.yaml"), **{**GIVEN[name], **parameters})
    return {key: resource.get("Properties", {}) for key, resource in resolved.items()}


@cache
def default(name: str) -> dict[str, dict[str, Any]]:
    return stack(name)


def container(resource: str = "ApiTask", name: str = "api", **parameters: Any) -> dict[str, Any]:
    definitions: list[dict[str, Any]] = stack("service", **parameters)[resource]["ContainerDefinitions"]
    return next(definition for definition in definitions if definition["Name"] == name)


def secrets(**parameters: Any) -> dict[str, str]:
    return {secret["Name"]: secret["ValueFrom"] for secret in container(**parameters)["Secrets"]}


def statements(role: str, **parameters: Any) -> list[tuple[set[str], list[str]]]:
    policies = stack("service", **parameters)[role]["Policies"]
    return [
        (set(statement["Action"]), statement["Resource"])
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]


def target() -> dict[str, Any]:
    return default("edge")["TargetGroup"]


def alarm(name: str) -> tuple[Any, ...]:
    properties = default("service")[name]
    return tuple(properties[key] for key in ("MetricName", "ComparisonOperator", "Threshold", "AlarmActions"))


def step(name: str) -> int:
    policy = default("service")[name]["StepScalingPolicyConfiguration"]
    return int(policy["StepAdjustments"][0]["ScalingAdjustment"])


def widgets() -> str:
    return json.dumps(default("ops")["Dashboard"])


DOCKERFILE = Path(__file__).resolve().parents[2] / "docker" / "api" / "Dockerfile"
CHECKS: dict[str, Callable[[], bool]] = {
    "ecr-name": lambda: default("data")["Repository"]["RepositoryName"] == "facerec-api",
    "ecr-latest": lambda: default("data")["Repository"]["ImageTagMutability"] == "MUTABLE",
    "platform": lambda: (
        default("service")["ApiTask"]["RuntimePlatform"]
        == {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"}
    ),
    "dockerfile": DOCKERFILE.is_file,
    "cluster-name": lambda: default("service")["Cluster"]["ClusterName"] == "facerec-api-cluster",
    "cluster-capacity": lambda: (
        default("service")["ClusterCapacity"]["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    ),
    "launch-type": lambda: (
        default("service")["Service"]["LaunchType"] == "FARGATE"
        and default("service")["ApiTask"]["RequiresCompatibilities"] == ["FARGATE"]
    ),
    "task-family": lambda: default("service")["ApiTask"]["Family"] == "facerec-api",
    "task-cpu": lambda: default("service")["ApiTask"]["Cpu"] == "1024",
    "task-memory": lambda: default("service")["ApiTask"]["Memory"] == "4096",
    "container-name": lambda: container()["Essential"] is True,
    "container-port": lambda: container()["PortMappings"] == [{"ContainerPort": 8000, "Protocol": "tcp"}],
    "container-environment": lambda: {"Name": "ENVIRONMENT", "Value": "production"} in container()["Environment"],
    "secret-access-key-id": lambda: (
        secrets(UseStaticAwsKeys="true")["AWS_ACCESS_KEY_ID"] == "/facerec/AWS_ACCESS_KEY_ID"
    ),
    "secret-secret-access-key": lambda: (
        secrets(UseStaticAwsKeys="true")["AWS_SECRET_ACCESS_KEY"] == "/facerec/AWS_SECRET_ACCESS_KEY"
    ),
    "secret-pinecone": lambda: secrets()["PINECONE_API_KEY"] == "/facerec/PINECONE_API_KEY",
    "log-driver": lambda: (
        container()["LogConfiguration"]
        == {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": {"Ref": "LogGroup"},
                "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "ecs",
            },
        }
    ),
    "service-name": lambda: default("service")["Service"]["ServiceName"] == "facerec-api",
    # without it, ECS starts a new service with 1 task, and later keeps the number that scaling chose
    "desired-count": lambda: "DesiredCount" not in default("service")["Service"],
    "scale-up": lambda: (
        alarm("CpuHigh") == ("CPUUtilization", "GreaterThanThreshold", 70, [{"Ref": "ScaleUp"}])
        and step("ScaleUp") == 1
    ),
    "scale-down": lambda: (
        alarm("CpuLow") == ("CPUUtilization", "LessThanThreshold", 30, [{"Ref": "ScaleDown"}])
        and step("ScaleDown") == -1
    ),
    "scale-limits": lambda: (
        [default("service")["ScalableTarget"][name] for name in ("MinCapacity", "MaxCapacity")] == [1, 2]
    ),
    "alb-name": lambda: default("edge")["LoadBalancer"]["Name"] == "facerec-api-alb",
    "alb-scheme": lambda: (
        [default("edge")["LoadBalancer"][name] for name in ("Scheme", "Type")] == ["internet-facing", "application"]
    ),
    "listener": lambda: (
        [default("edge")["HttpListener"][name] for name in ("Port", "Protocol")] == [80, "HTTP"]
    ),
    "listener-action": lambda: (
        default("edge")["HttpListener"]["DefaultActions"]
        == [{"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}]
    ),
    "target-group-name": lambda: target()["Name"] == "facerec-api-tg",
    "target-group-protocol": lambda: [target()[name] for name in ("Protocol", "Port", "TargetType")] == ["HTTP", 8000, "ip"],
    "health-path": lambda: (
        [target()[f"HealthCheck{name}"] for name in ("Path", "Port", "Protocol")] == ["/health", "8000", "HTTP"]
    ),
    "health-thresholds": lambda: [target()[f"{name}ThresholdCount"] for name in ("Healthy", "Unhealthy")] == [2, 2],
    "health-timeout": lambda: target()["HealthCheckTimeoutSeconds"] == 5,
    "health-interval": lambda: target()["HealthCheckIntervalSeconds"] == 30,
    "execution-role-name": lambda: default("service")["ExecutionRole"]["RoleName"] == "ecsTaskExecutionRole",
    "execution-role-managed": lambda: (
        default("service")["ExecutionRole"]["ManagedPolicyArns"]
        == ["arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"]
    ),
    "execution-role-ssm": lambda: (
        statements("ExecutionRole")
        == [
            (
                {"ssm:GetParameters", "ssm:GetParameter"},
                ["arn:aws:ssm:eu-central-1:123456789012:parameter/facerec/*"],
            )
        ]
    ),
    "task-role-name": lambda: default("service")["TaskRole"]["RoleName"] == "ecsTaskRole",
    "task-role-s3": lambda: (
        ({"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}, ["arn:aws:s3:::photos/*"]) in statements("TaskRole")
    ),
    "alb-sg-name": lambda: default("network")["AlbSecurityGroup"]["GroupName"] == "facerec-api-alb-sg",
    "alb-sg-in": lambda: (
        _ports(default("network")["AlbSecurityGroup"]["SecurityGroupIngress"]) == [(80, 80, "0.0.0.0/0")]
    ),
    "alb-sg-out": lambda: (
        default("network")["AlbToTasks"]["IpProtocol"] == "-1"
        and "EcsSecurityGroup" in str(default("network")["AlbToTasks"]["DestinationSecurityGroupId"])
    ),
    "ecs-sg-name": lambda: default("network")["EcsSecurityGroup"]["GroupName"] == "facerec-api-ecs-sg",
    "ecs-sg-in": lambda: (
        [(rule["FromPort"], rule["ToPort"], "AlbSecurityGroup" in str(rule["SourceSecurityGroupId"]))
         for rule in default("network")["EcsSecurityGroup"]["SecurityGroupIngress"]] == [(8000, 8000, True)]
    ),
    "ecs-sg-out": lambda: (
        [(rule["IpProtocol"], rule["CidrIp"]) for rule in default("network")["EcsSecurityGroup"]["SecurityGroupEgress"]]
        == [("-1", "0.0.0.0/0")]
    ),
    "private-subnets": lambda: (
        default("service")["Service"]["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
        and default("network")["PrivateDefaultRoute"]["NatGatewayId"] == {"Ref": "NatGateway"}
    ),
    "log-retention": lambda: (
        [default("service")["LogGroup"][name] for name in ("LogGroupName", "RetentionInDays")]
        == ["/ecs/facerec-api", 30]
    ),
    "metrics": lambda: all(
        f'"{name}' in widgets().replace("\\", "")
        for name in ("CPUUtilization", "MemoryUtilization", "RequestCount", "TargetResponseTime", "HTTPCode_Target_5XX")
    ),
}  # fmt: skip


def _ports(rules: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(rule["FromPort"], rule["ToPort"], rule["CidrIp"]) for rule in rules]


@pytest.mark.parametrize("line", CONTRACT)
def test_each_line_of_the_contract_is_kept(line: str) -> None:
    assert CHECKS[line](), CONTRACT[line]


def test_every_check_belongs_to_a_line_of_the_contract() -> None:
    assert set(CHECKS) == set(CONTRACT)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.slow
def test_cfn_lint_finds_no_fault(path: Path) -> None:
    process = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "--include-checks", "I", "--", path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.stdout + process.stderr == ""


# --- static keys, customer-managed keys, narrow egress ---


def test_static_keys_are_off_by_default() -> None:
    assert set(secrets()) == {"SECRET_KEY", "DATABASE_PASSWORD", "PINECONE_API_KEY"}


def test_pinecone_can_be_left_out() -> None:
    assert "PINECONE_API_KEY" not in secrets(UsePinecone="false")


@pytest.mark.parametrize("role", ["ExecutionRole", "TaskRole"])
def test_both_roles_can_use_a_customer_managed_key(role: str) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    assert any(
        "kms:Decrypt" in actions and resource == [key]
        for actions, resource in statements(role, KmsKeyArn=key)
    )
    assert not any("kms:Decrypt" in actions for actions, _ in statements(role))


def test_no_role_has_a_wildcard_action_or_resource() -> None:
    for role in ("ExecutionRole", "TaskRole"):
        for actions, resource in statements(role):
            assert not any("*" in action for action in actions)
            assert "*" not in resource


def test_narrow_egress_allows_only_https_and_the_database() -> None:
    rules = stack("network", NarrowEgress="true")["EcsSecurityGroup"]["SecurityGroupEgress"]
    assert _ports(rules) == [(443, 443, "0.0.0.0/0"), (5432, 5432, "10.20.0.0/16")]


# --- containers ---


@pytest.mark.parametrize(
    ("task", "name"), [("ApiTask", "prepare"), ("ApiTask", "api"), ("WorkerTask", "worker")]
)
def test_containers_have_a_read_only_root_and_60_seconds_to_stop(task: str, name: str) -> None:
    definition = container(task, name)
    assert definition["ReadonlyRootFilesystem"] is True
    assert [mount["ContainerPath"] for mount in definition["MountPoints"]] == ["/tmp"]
    assert definition["StopTimeout"] == 60
    assert definition["Image"] == DIGEST


def test_the_service_starts_after_the_database_is_prepared() -> None:
    assert container()["DependsOn"] == [{"ContainerName": "prepare", "Condition": "SUCCESS"}]
    prepare = container(name="prepare")
    assert prepare["Essential"] is False
    assert prepare["Command"] == ["python", "manage.py", "prepare_database"]


def test_only_prepare_gets_the_administrators_password() -> None:
    names = {secret["Name"] for secret in container(name="prepare")["Secrets"]} - set(secrets())
    assert names == {"ADMIN_PASSWORD"}
    assert "ADMIN_PASSWORD" not in str(container("WorkerTask", "worker"))


def test_all_containers_have_the_same_variables() -> None:
    variables = [
        container(task, name)["Environment"]
        for task, name in (("ApiTask", "prepare"), ("ApiTask", "api"), ("WorkerTask", "worker"))
    ]
    assert variables[0] == variables[1] == variables[2]


def test_every_variable_is_one_that_the_service_reads() -> None:
    table = (FOLDER.parents[1] / "docs" / "settings.md").read_text()
    names = {variable["Name"] for variable in container(name="prepare")["Environment"]}
    names |= {secret["Name"] for secret in container(name="prepare", UseStaticAwsKeys="true")["Secrets"]}
    assert {name for name in names if f"`{name}`" not in table} == set()


def test_containers_have_every_variable_that_production_requires() -> None:
    from facerec_site.settings import required

    api = container()
    environment = {entry["Name"]: str(entry["Value"]) for entry in api["Environment"]}
    environment |= {entry["Name"]: "secret" for entry in api["Secrets"]}
    assert required.problems(environment) == []


def test_failed_deployments_are_rolled_back() -> None:
    configuration = default("service")["Service"]["DeploymentConfiguration"]
    assert configuration["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert configuration["Alarms"]["Rollback"] is True
    # this alarm is in ALARM whenever there is little load
    assert "CpuLow" not in str(configuration["Alarms"])


def test_blue_green_moves_one_rule_between_two_target_groups() -> None:
    edge = stack("edge", DeploymentStrategy="BLUE_GREEN")
    targets = edge["HttpRule"]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert [target["TargetGroupArn"] for target in targets] == [
        {"Ref": "TargetGroup"},
        {"Ref": "OtherTargetGroup"},
    ]
    first, second = edge["TargetGroup"], edge["OtherTargetGroup"]
    assert {**first, "Name": ""} == {**second, "Name": ""}
    service = stack(
        "service",
        DeploymentStrategy="BLUE_GREEN",
        OtherTargetGroupArn="arn:tg2",
        ProductionRuleArn="arn:rule",
    )
    advanced = service["Service"]["LoadBalancers"][0]["AdvancedConfiguration"]
    assert (advanced["AlternateTargetGroupArn"], advanced["ProductionListenerRule"]) == (
        "arn:tg2",
        "arn:rule",
    )
    assert "AdvancedConfiguration" not in default("service")["Service"]["LoadBalancers"][0]


# --- the edge ---


@pytest.mark.parametrize(
    "parameters", [{"CertificateArn": "arn:acm", "DomainName": "f.example"}, {"HostedZoneId": "Z1", "DomainName": "f.example"}]
)  # fmt: skip
def test_with_a_certificate_http_is_redirected(parameters: dict[str, str]) -> None:
    edge = stack("edge", **parameters)
    (action,) = edge["HttpListener"]["DefaultActions"]
    assert (action["Type"], action["RedirectConfig"]["Protocol"]) == ("redirect", "HTTPS")
    assert edge["HttpsListener"]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13")
    assert edge["HttpsFromAnywhere"]["FromPort"] == 443
    assert ("Certificate" in edge) is ("HostedZoneId" in parameters)


def test_without_a_certificate_nothing_listens_on_443() -> None:
    assert {"HttpsListener", "HttpsFromAnywhere", "Certificate", "Name"} & set(default("edge")) == set()


def test_the_firewall_does_not_block_photos() -> None:
    (common,) = (rule for rule in default("edge")["Firewall"]["Rules"] if rule["Name"] == "common")
    overrides = common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    counted = {override["Name"] for override in overrides if override["ActionToUse"] == {"Count": {}}}
    assert {"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY"} <= counted
    assert "Firewall" not in stack("edge", UseFirewall="false")


# --- data ---


@pytest.mark.parametrize("name", ["Repository", "PhotoBucket", "Database"])
def test_images_photos_and_the_database_outlive_their_stack(name: str) -> None:
    resource = read(FOLDER / "data.yaml")["Resources"][name]
    assert resource["DeletionPolicy"] in ("Retain", "Snapshot")
    assert resource["UpdateReplacePolicy"] in ("Retain", "Snapshot")


def test_photos_are_private_encrypted_and_versioned() -> None:
    bucket = default("data")["PhotoBucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]
    (deny,) = default("data")["PhotoBucketPolicy"]["PolicyDocument"]["Statement"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_database_is_private_encrypted_and_backed_up() -> None:
    database = default("data")["Database"]
    assert database["PubliclyAccessible"] is False
    assert database["StorageEncrypted"] is True
    assert database["BackupRetentionPeriod"] == 35
    assert database["DeletionProtection"] is True
    assert database["MasterUserPassword"] == "{{resolve:ssm-secure:/facerec/DATABASE_PASSWORD}}"
    assert default("data")["DatabaseParameters"]["Parameters"] == {"rds.force_ssl": "1"}


def test_a_message_is_invisible_for_longer_than_a_task_can_run(settings: Any) -> None:
    visibility = default("data")["Queue"]["VisibilityTimeout"]
    assert visibility > settings.CELERY_TASK_TIME_LIMIT
    assert default("data")["Queue"]["RedrivePolicy"]["maxReceiveCount"] == 5


def test_a_restore_creates_the_database_from_a_snapshot() -> None:
    database = stack("data", DatabaseSnapshot="rds:snap", KmsKeyArn="arn:key")["Database"]
    assert database["DBSnapshotIdentifier"] == "rds:snap"
    # RDS rejects properties that the snapshot determines
    assert {"DBName", "MasterUsername", "StorageEncrypted", "KmsKeyId"} & set(database) == set()


def test_restores_are_tested_and_a_failure_raises_an_alarm() -> None:
    ops = default("ops")
    assert ops["RestoreTestSelection"]["ProtectedResourceArns"] == ["arn:db"]
    assert ops["RestoreTestFailed"]["Targets"][0]["Arn"] == {"Ref": "Topic"}


def test_every_alarm_notifies_the_topic() -> None:
    alarms = {name: properties for name, properties in default("ops").items() if "AlarmName" in properties}
    assert len(alarms) == 11
    for name, properties in alarms.items():
        assert properties["AlarmActions"] == [{"Ref": "Topic"}], name


def test_only_one_environment_of_one_repository_can_deploy() -> None:
    condition = default("ci")["DeployRole"]["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    assert condition == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:example/facerec-api:environment:production",
        }
    }


def test_daily_maintenance_runs_in_the_workers_task() -> None:
    schedule = default("service")["Maintenance"]
    assert schedule["Target"]["EcsParameters"]["TaskDefinitionArn"] == {"Ref": "WorkerTask"}
    overrides = json.loads(schedule["Target"]["Input"])["containerOverrides"]
    assert overrides == [{"name": "worker", "command": ["python", "manage.py", "maintain"]}]
