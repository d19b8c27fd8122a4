"""The Copilot way to deploy: what its binary renders keeps the contract."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from facerec_site.settings.required import problems
from tests.deployment import copilot
from tests.deployment.contract import CONTRACT
from tests.deployment.copilot import COPILOT, ROOT, Rendered, Template, manifest
from tests.deployment.copilot_schema import SCHEMAS, SECRETS, VARIABLES

pytestmark = pytest.mark.once

NOT_KEPT = {
    "ecr-name": "the repository `facerec-api` is made by the operator: Copilot names its own after app and "
    "service. The manifests' image.location names the contract's.",
    "listener-action": "Copilot's listener forwards by a rule for /*; its default action leads to an empty "
    "target group.",
}
IMAGE = f"{copilot.ACCOUNT}.dkr.ecr.{copilot.REGION}.amazonaws.com/facerec-api:latest"
WORKLOADS = ("api", "worker", "maintenance")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return copilot.render(tmp_path_factory.mktemp("copilot"))


def container(template: Template, name: str) -> dict[str, Any]:
    """Return the container of that name of the template's task."""
    containers = {one["Name"]: one for one in template["TaskDefinition"]["ContainerDefinitions"]}
    found: dict[str, Any] = containers[name]
    return found


def environment(template: Template, name: str) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in container(template, name)["Environment"]}


def secrets(template: Template, name: str) -> dict[str, str]:
    return {one["Name"]: one["ValueFrom"] for one in container(template, name)["Secrets"]}


def statements(rendered: Rendered, policy: str) -> list[dict[str, Any]]:
    """Return the statements of a policy of the addons."""
    found: list[dict[str, Any]] = rendered.addons[policy]["PolicyDocument"]["Statement"]
    return found


def allowed_on(rendered: Rendered, policy: str, resource: str) -> set[str]:
    return {
        action
        for one in statements(rendered, policy)
        if one["Effect"] == "Allow" and one["Resource"] == resource
        for action in one["Action"]
    }


def buildspec() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COPILOT / "pipelines/facerec/buildspec.yml").read_text())
    return found


def commands() -> str:
    phases = buildspec()["phases"].values()
    return "\n".join(command for phase in phases for command in phase["commands"])


# --- The contract, a line each ---------------------------------------------------------------------------


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
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {
        "ClusterName": "<import facerec-prod-ClusterId>",
        "ServiceName": "<Service.Name>",
    }


def scale_limits(r: Rendered) -> None:
    target = r.api["AutoScalingTarget"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    policies = r.api.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
    assert policies.keys() == {"ScaleUp", "ScaleDown"}  # and no target tracking beside them
    assert {one["ScalingTargetId"] for one in policies.values()} == {"<AutoScalingTarget>"}


def desired_count(r: Rendered) -> None:
    # Copilot's function says how many run, so that a deployment doesn't undo scaling; 1 when none does
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
    one = r.environment["HTTPListener"]
    assert (one["Port"], one["Protocol"]) == (80, "HTTP")
    assert one["LoadBalancerArn"] == "<PublicLoadBalancer>"


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
    # the HTTPS group is made with a certificate only
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
    shown = {metric[1] for widget in widgets for metric in widget["properties"]["metrics"]}
    assert {"CPUUtilization", "MemoryUtilization", "RequestCount", "TargetResponseTime"} <= shown
    assert "HTTPCode_Target_5XX_Count" in shown


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
# Lines that are one value: where it is found, and what it must be.
VALUES: dict[str, tuple[Callable[[Rendered], Any], Any]] = {
    "task-family": (lambda r: r.api["TaskDefinition"]["Family"], "facerec-api"),
    "task-cpu": (lambda r: r.api["TaskDefinition"]["Cpu"], "1024"),
    "task-memory": (lambda r: r.api["TaskDefinition"]["Memory"], "4096"),
    "container-name": (lambda r: r.api["TaskDefinition"]["ContainerDefinitions"][0]["Name"], "api"),
    "container-port": (
        lambda r: [
            (one["ContainerPort"], one["Protocol"]) for one in container(r.api, "api")["PortMappings"]
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


def test_each_line_of_the_contract_is_checked_once_or_said_not_to_be_kept() -> None:
    lines = [*CHECKS, *VALUES, *NOT_KEPT]
    assert sorted(lines) == sorted(CONTRACT)


@pytest.mark.parametrize("line", [*CHECKS, *VALUES])
def test_the_rendered_templates_keep_the_contract(line: str, rendered: Rendered) -> None:
    if line in CHECKS:
        CHECKS[line](rendered)
    else:
        where, expected = VALUES[line]
        assert where(rendered) == expected, CONTRACT[line]


@pytest.mark.parametrize("line", NOT_KEPT)
def test_operators_are_told_what_is_not_kept(line: str) -> None:
    assert f"`{line}`" in (ROOT / "deploy" / "copilot.md").read_text()


def test_all_requests_are_forwarded_by_a_rule_in_place_of_the_default_action(rendered: Rendered) -> None:
    rule = rendered.api["HTTPListenerRule"]
    assert rule["Conditions"] == [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
    assert rule["Actions"] == [{"TargetGroupArn": "<TargetGroup>", "Type": "forward"}]


def test_with_a_certificate_everybody_is_sent_to_https(tmp_path: Path) -> None:
    stack, api = copilot.render_with_certificate(tmp_path)
    assert stack.parameters["CreateHTTPSListener"] == "true"
    assert stack["HTTPSListener"]["Port"] == 443
    (certificate,) = stack["HTTPSListener"]["Certificates"]
    assert certificate["CertificateArn"].startswith("arn:aws:acm:")
    (redirect,) = api["HTTPListenerRuleWithDomain"]["Actions"]
    assert (redirect["Type"], redirect["RedirectConfig"]["Protocol"]) == ("redirect", "HTTPS")
    (forward,) = api["HTTPSListenerRule"]["Actions"]
    assert forward == {"TargetGroupArn": "<TargetGroup>", "Type": "forward"}
    assert environment(api, "api")["SECURE_SSL_REDIRECT"] == "true"
    assert stack.of_type("AWS::Lambda::Function") == {}


# --- What the contract doesn't say -----------------------------------------------------------------------


def test_every_container_runs_the_one_image(rendered: Rendered) -> None:
    for workload in WORKLOADS:
        for one in rendered.all()[workload]["TaskDefinition"]["ContainerDefinitions"]:
            assert one["Image"] == IMAGE


def test_every_container_has_a_read_only_root_and_may_write_to_tmp(rendered: Rendered) -> None:
    for workload in WORKLOADS:
        task = rendered.all()[workload]["TaskDefinition"]
        assert task["Volumes"] == [{"Name": "tmp"}]
        for one in task["ContainerDefinitions"]:
            assert one["ReadonlyRootFilesystem"] is True
            (mount,) = one["MountPoints"]
            assert mount == {"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}
            assert one["LinuxParameters"] == {"InitProcessEnabled": True}
            assert one["StopTimeout"] == 60


def test_each_container_does_its_work(rendered: Rendered) -> None:
    assert "Command" not in container(rendered.api, "api")  # the image's own: gunicorn
    assert container(rendered.api, "prepare")["Command"] == ["python", "manage.py", "prepare_database"]
    assert " ".join(str(part) for part in container(rendered.worker, "worker")["Command"]) == (
        "celery --app facerec_site.celery worker --concurrency 1 --loglevel INFO"
    )
    assert container(rendered.maintenance, "maintenance")["Command"] == ["python", "manage.py", "maintain"]
    assert rendered.maintenance["Rule"]["ScheduleExpression"] == "cron(30 3 * * ? *)"


def test_the_api_starts_after_the_database_was_prepared(rendered: Rendered) -> None:
    assert container(rendered.api, "api")["DependsOn"] == [
        {"ContainerName": "prepare", "Condition": "SUCCESS"}
    ]
    assert container(rendered.api, "prepare")["Essential"] is False
    assert environment(rendered.api, "prepare")["DATABASE_STATEMENT_TIMEOUT_MS"] == "0"


def test_only_the_preparation_knows_the_administrators_password(rendered: Rendered) -> None:
    knowing = [
        (workload, one["Name"])
        for workload in WORKLOADS
        for one in rendered.all()[workload]["TaskDefinition"]["ContainerDefinitions"]
        if "ADMIN_PASSWORD" in {secret["Name"] for secret in one["Secrets"]}
    ]
    assert knowing == [("api", "prepare")]


@pytest.mark.parametrize(
    ("workload", "name"), [("api", "api"), ("api", "prepare"), ("worker", "worker"), ("maintenance",) * 2]
)
def test_every_container_has_all_that_a_production_start_needs(
    workload: str, name: str, rendered: Rendered
) -> None:
    template = rendered.all()[workload]
    exports = rendered.addons.outputs()
    given = {
        key: exports[found[1]] if (found := re.fullmatch(r"<import (.+)>", value)) else value
        for key, value in environment(template, name).items()
    }
    given |= dict.fromkeys(secrets(template, name), "a secret")
    assert problems(given) == []
    assert given["DATABASE_URL"] == (
        "postgres://facerec@<Database.Endpoint.Address>:5432/facerec"
        "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/rds.pem"
    )
    assert given["AWS_STORAGE_BUCKET_NAME"] == "<PhotoBucket>"
    assert given["SQS_QUEUE_URL"] == "<Queue>"
    assert {"DATABASE_PASSWORD", "SECRET_KEY", "PINECONE_API_KEY"} <= secrets(template, name).keys()


def test_the_containers_health_is_asked_for_by_ecs(rendered: Rendered) -> None:
    assert container(rendered.api, "api")["HealthCheck"] == {
        "Command": ["CMD", "python", "-m", "facerec_site.probe"],
        "Interval": 30,
        "Timeout": 5,
        "Retries": 2,
        "StartPeriod": 60,
    }


def test_a_bad_deployment_goes_back_by_itself(rendered: Rendered) -> None:
    for workload in ("api", "worker"):
        breaker = rendered.all()[workload]["Service"]["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
        assert breaker == {"Enable": True, "Rollback": True}
    # LowCpu is in ALARM at rest: a deployment that looked at it would never succeed
    assert rendered.api["Service"]["DeploymentConfiguration"]["Alarms"] == {
        "Enable": True,
        "Rollback": True,
        "AlarmNames": ["<ServerErrors>"],
    }


def test_a_task_that_leaves_has_30_seconds_for_its_last_requests(rendered: Rendered) -> None:
    attributes = {one["Key"]: one["Value"] for one in rendered.api["TargetGroup"]["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == 30


def test_photos_go_round_the_nat_gateway(rendered: Rendered) -> None:
    assert rendered.environment["S3Endpoint"]["RouteTableIds"] == [
        "<PrivateRouteTable1>",
        "<PrivateRouteTable2>",
    ]


def test_there_is_one_nat_gateway_and_both_private_subnets_use_it(rendered: Rendered) -> None:
    assert rendered.environment.of_type("AWS::EC2::NatGateway").keys() == {"NatGateway1"}
    assert len(rendered.environment.of_type("AWS::EC2::EIP")) == 1
    ways = {rendered.environment[route]["NatGatewayId"] for route in ("PrivateRoute1", "PrivateRoute2")}
    assert ways == {"<NatGateway1>"}


def test_the_runtimes_of_copilots_own_functions_are_current(rendered: Rendered) -> None:
    functions = [
        one
        for template in rendered.all().values()
        for one in template.of_type("AWS::Lambda::Function").values()
    ]
    assert len(functions) >= 8
    assert {one["Runtime"] for one in functions} == {"nodejs24.x"}
    # cfn-lint, below, knows when AWS ends a runtime


def test_tasks_may_do_what_erasure_and_queue_need_and_no_more(rendered: Rendered) -> None:
    assert allowed_on(rendered, "UsePhotosAndQueue", "<PhotoBucket.Arn>/*") == {
        "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion",
    }  # fmt: skip
    assert allowed_on(rendered, "UsePhotosAndQueue", "<PhotoBucket.Arn>") == {
        "s3:ListBucket", "s3:ListBucketVersions",
    }  # fmt: skip
    assert allowed_on(rendered, "UsePhotosAndQueue", "<Queue.Arn>") == {
        "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
    }  # fmt: skip
    assert len(statements(rendered, "UsePhotosAndQueue")) == 3
    for workload in WORKLOADS:
        role = rendered.all()[workload]["TaskRole"]
        assert role["ManagedPolicyArns"] == ["<import facerec-prod-UsePhotosAndQueue>"]


def test_photos_are_private_encrypted_versioned_and_outlive_the_stack(rendered: Rendered) -> None:
    bucket = rendered.addons["PhotoBucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert [rule["NoncurrentVersionExpiration"] for rule in rules[:1]] == [{"NoncurrentDays": 35}]
    assert rules[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 35}
    (statement,) = rendered.addons["PhotoBucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["<PhotoBucket.Arn>", "<PhotoBucket.Arn>/*"]
    assert rendered.addons.body["Resources"]["PhotoBucket"]["DeletionPolicy"] == "Retain"


def test_a_message_that_fails_five_times_is_set_aside(rendered: Rendered) -> None:
    queue = rendered.addons["Queue"]
    assert queue["VisibilityTimeout"] == 360
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "<DeadLetterQueue.Arn>", "maxReceiveCount": 5}
    for one in rendered.addons.of_type("AWS::SQS::Queue").values():
        assert one["SqsManagedSseEnabled"] is True


def test_the_database_is_encrypted_backed_up_and_heard_by_tasks_only(rendered: Rendered) -> None:
    database = rendered.addons["Database"]
    assert (database["Engine"], database["EngineVersion"].split(".")[0]) == ("postgres", "17")
    assert (database["DBInstanceClass"], database["StorageType"]) == ("db.t4g.micro", "gp3")
    assert (database["AllocatedStorage"], database["MaxAllocatedStorage"]) == ("20", 100)
    assert (database["StorageEncrypted"], database["PubliclyAccessible"]) == (True, False)
    assert (database["BackupRetentionPeriod"], database["DeletionProtection"]) == (35, True)
    assert rendered.addons.body["Resources"]["Database"]["DeletionPolicy"] == "Snapshot"
    assert rendered.addons["DatabaseParameters"]["Parameters"] == {"rds.force_ssl": "1"}
    (rule,) = rendered.addons["DatabaseSecurityGroup"]["SecurityGroupIngress"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 5432, 5432)
    assert rule["SourceSecurityGroupId"] == "<TasksSecurityGroup>"
    given = rendered.environment["AddonsStack"]["Parameters"]
    assert given["TasksSecurityGroup"] == "<EnvironmentSecurityGroup>"
    assert given["PrivateSubnets"] == "<PrivateSubnet1>,<PrivateSubnet2>"


def test_receipts_tell_as_many_days_as_backups_are_kept(rendered: Rendered) -> None:
    days = rendered.addons["Database"]["BackupRetentionPeriod"]
    for workload in WORKLOADS:
        assert environment(rendered.all()[workload], workload)["FACEREC_BACKUP_DAYS"] == str(days)


def test_no_manifest_and_no_template_holds_a_secret(rendered: Rendered) -> None:
    for template in rendered.all().values():
        for task in template.of_type("AWS::ECS::TaskDefinition").values():
            for one in task["ContainerDefinitions"]:
                assert not SECRETS & {variable["Name"] for variable in one["Environment"]}
                assert all(secret["ValueFrom"] == f"/facerec/{secret['Name']}" for secret in one["Secrets"])
    assert rendered.addons["Database"]["MasterUserPassword"] == (
        "{{resolve:ssm-secure:/facerec/DATABASE_PASSWORD}}"
    )
    files = [path for path in COPILOT.rglob("*") if path.is_file()]
    for path in files + [template.path for template in rendered.all().values()]:
        assert not re.search(r"AKIA[A-Z0-9]{16}|pcsk_|PRIVATE KEY|://[^/\s<$@]+:[^/\s$@]+@", path.read_text())


# --- cfn-lint --------------------------------------------------------------------------------------------

# What it finds in Copilot's own text, which is not ours to change: rule, where, why it is no fault.
EXCEPTIONS = [
    ("W2001", r"(api|worker|maintenance) Parameters/.*", "one list of parameters for all kinds of manifests"),
    ("W8001", r"api Conditions/HasAssociatedDomain", "a condition for manifests with a domain"),
    ("W3005", r"(api|worker|maintenance) Resources/TaskDefinition/DependsOn", "says twice what a Ref says"),
    ("W3005", r"environment Resources/\w+/DependsOn.*", "says twice what a Ref or GetAtt says"),
    ("W3037", r"api Resources/DynamicDesiredCountFunctionRole/.*", "allows an action that there isn't"),
    ("W3037", r"environment Resources/(EnvironmentManagerRole|CustomResourceRole)/.*", "likewise"),
    (
        "W3011",
        r"environment Resources/(CloudformationExecutionRole|EnvironmentManagerRole)",
        "never replaced",
    ),
    ("W1001", r"environment Resources/HTTPSListener/.*", "conditions that are true together"),
    ("E3676", r"environment Resources/InternalHTTPSListener/Properties", "of a balancer that isn't made"),
    (
        "E3601",
        r"maintenance Resources/StateMachine/.*",
        "sees no substitution in an ARN",
    ),
]


def lint(path: Path) -> list[tuple[str, str, str]]:
    """Return cfn-lint's findings: rule, path in the template, message."""
    done = subprocess.run(
        [
            copilot.BINARY.with_name("cfn-lint"),
            "--regions",
            copilot.REGION,
            "--format",
            "json",
            "--",
            str(path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return [
        (one["Rule"]["Id"], "/".join(str(step) for step in one["Location"]["Path"] or []), one["Message"])
        for one in json.loads(done.stdout)
    ]


@pytest.fixture(scope="session")
def findings(rendered: Rendered) -> list[tuple[str, str, str]]:
    return [
        (rule, f"{name} {where}", message)
        for name, template in rendered.all().items()
        if name != "api_with_static_keys"
        for rule, where, message in lint(template.path)
    ]


def test_cfn_lint_finds_no_fault_in_the_rendered_templates(findings: list[tuple[str, str, str]]) -> None:
    ours = [
        found
        for found in findings
        if not any(rule == found[0] and re.fullmatch(where, found[1]) for rule, where, _ in EXCEPTIONS)
    ]
    assert ours == []


def test_no_exception_to_cfn_lint_outlives_its_finding(findings: list[tuple[str, str, str]]) -> None:
    for rule, where, _ in EXCEPTIONS:
        assert any(rule == found[0] and re.fullmatch(where, found[1]) for found in findings), (rule, where)


# --- The manifests ---------------------------------------------------------------------------------------


def refused(name: str, manifest: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMAS[name]).iter_errors(manifest)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_manifest_has_no_unknown_key_and_no_impossible_number(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert refused(name, manifest(name)) == []


def test_there_is_a_schema_for_every_manifest() -> None:
    assert {str(path.relative_to(COPILOT)) for path in COPILOT.rglob("manifest.yml")} == SCHEMAS.keys()


def _misspell(one: dict[str, Any]) -> None:
    one["http"]["healthchek"] = one["http"].pop("healthcheck")


@pytest.mark.parametrize(
    "break_it",
    [
        _misspell,
        lambda one: one.update(cpu=1000),
        lambda one: one.update(memory=16384),  # not with one vCPU
        lambda one: one.update(memory="4096"),
        lambda one: one.update(unknown_key=True),
        lambda one: one["image"].update(port=80),
        lambda one: one["http"]["healthcheck"].update(interval=30),  # of what?
        lambda one: one["network"]["vpc"].update(placement="public"),
        lambda one: one["variables"].update(ALOWED_HOSTS="faces.example.org"),
        lambda one: one["variables"].update(PORT=8000),  # a number is not what a process reads
        lambda one: one["variables"].update(SECRET_KEY="in the open"),
        lambda one: one["secrets"].update(SECRET_KEY="/other/SECRET_KEY"),
    ],
)
def test_the_schema_refuses_what_copilot_takes_in_silence(break_it: Callable[[dict[str, Any]], None]) -> None:
    one = copy.deepcopy(manifest("api/manifest.yml"))
    break_it(one)
    assert refused("api/manifest.yml", one)


def test_every_variable_is_one_that_the_service_reads() -> None:
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "SETTINGS.md").read_text()))
    assert documented >= VARIABLES


def test_staging_differs_from_prod_in_its_name_only() -> None:
    prod, staging = (manifest(f"environments/{name}/manifest.yml") for name in ("prod", "staging"))
    assert prod | {"name": "staging"} == staging


def test_the_pipeline_packages_what_it_deploys() -> None:
    (stage,) = manifest("pipelines/facerec/manifest.yml")["stages"]
    assert stage["requires_approval"] is True
    packaged = re.findall(r"copilot (?:svc|job) package --name (\w+) --env (\w+)", commands())
    assert packaged == [(name, stage["name"]) for name in stage["deployments"]]
    assert f"copilot env package --name {stage['name']} " in commands()
    given = buildspec()["env"]["variables"]
    for name in copilot.OPERATOR.keys() - {"AWS_REGION"}:  # CodeBuild sets the region itself
        assert name in given or f"export {name}=" in commands()
