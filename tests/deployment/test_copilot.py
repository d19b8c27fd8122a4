"""The templates that Copilot's binary renders, beyond the lines of the contract."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from facerec_site.settings.required import problems
from tests.deployment import copilot
from tests.deployment.copilot import (
    COPILOT,
    WORKLOADS,
    Rendered,
    allowed_on,
    container,
    environment,
    secrets,
    statements,
)
from tests.deployment.copilot_schema import SECRETS

IMAGE = f"{copilot.ACCOUNT}.dkr.ecr.{copilot.REGION}.amazonaws.com/facerec-api:latest"


def test_a_rule_instead_of_the_default_action_forwards_all_requests(rendered: Rendered) -> None:
    rule = rendered.api["HTTPListenerRule"]
    assert rule["Conditions"] == [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
    assert rule["Actions"] == [{"TargetGroupArn": "<TargetGroup>", "Type": "forward"}]


@pytest.mark.slow
def test_with_a_certificate_http_is_redirected(tmp_path: Path) -> None:
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


def test_every_container_runs_the_same_image(rendered: Rendered) -> None:
    for workload in WORKLOADS:
        for definition in rendered.all()[workload]["TaskDefinition"]["ContainerDefinitions"]:
            assert definition["Image"] == IMAGE


def test_every_container_has_a_read_only_root_and_a_writable_tmp(rendered: Rendered) -> None:
    for workload in WORKLOADS:
        task = rendered.all()[workload]["TaskDefinition"]
        assert task["Volumes"] == [{"Name": "tmp"}]
        for definition in task["ContainerDefinitions"]:
            assert definition["ReadonlyRootFilesystem"] is True
            (mount,) = definition["MountPoints"]
            assert mount == {"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}
            assert definition["LinuxParameters"] == {"InitProcessEnabled": True}
            assert definition["StopTimeout"] == 60


def test_each_container_runs_its_command(rendered: Rendered) -> None:
    assert "Command" not in container(rendered.api, "api")  # the image's own: gunicorn
    assert container(rendered.api, "prepare")["Command"] == ["python", "manage.py", "prepare_database"]
    assert " ".join(str(part) for part in container(rendered.worker, "worker")["Command"]) == (
        "celery --app facerec_site.celery worker --concurrency 1 --loglevel INFO"
    )
    assert container(rendered.maintenance, "maintenance")["Command"] == ["python", "manage.py", "maintain"]
    assert rendered.maintenance["Rule"]["ScheduleExpression"] == "cron(30 3 * * ? *)"


def test_the_api_starts_after_the_database_is_prepared(rendered: Rendered) -> None:
    assert container(rendered.api, "api")["DependsOn"] == [
        {"ContainerName": "prepare", "Condition": "SUCCESS"}
    ]
    assert container(rendered.api, "prepare")["Essential"] is False
    assert environment(rendered.api, "prepare")["DATABASE_STATEMENT_TIMEOUT_MS"] == "0"


def test_only_prepare_gets_the_administrators_password(rendered: Rendered) -> None:
    containers = [
        (workload, definition["Name"])
        for workload in WORKLOADS
        for definition in rendered.all()[workload]["TaskDefinition"]["ContainerDefinitions"]
        if "ADMIN_PASSWORD" in {secret["Name"] for secret in definition["Secrets"]}
    ]
    assert containers == [("api", "prepare")]


@pytest.mark.parametrize(
    ("workload", "name"), [("api", "api"), ("api", "prepare"), ("worker", "worker"), ("maintenance",) * 2]
)
def test_every_container_has_every_variable_that_production_requires(
    workload: str, name: str, rendered: Rendered
) -> None:
    template = rendered.all()[workload]
    exports = rendered.addons.outputs()
    variables = {
        key: exports[match[1]] if (match := re.fullmatch(r"<import (.+)>", value)) else value
        for key, value in environment(template, name).items()
    }
    variables |= dict.fromkeys(secrets(template, name), "a secret")
    assert problems(variables) == []
    assert variables["DATABASE_URL"] == (
        "postgres://facerec@<Database.Endpoint.Address>:5432/facerec"
        "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/rds.pem"
    )
    assert variables["AWS_STORAGE_BUCKET_NAME"] == "<PhotoBucket>"
    assert variables["SQS_QUEUE_URL"] == "<Queue>"
    assert {"DATABASE_PASSWORD", "SECRET_KEY", "PINECONE_API_KEY"} <= secrets(template, name).keys()


def test_ecs_checks_the_containers_health(rendered: Rendered) -> None:
    assert container(rendered.api, "api")["HealthCheck"] == {
        "Command": ["CMD", "python", "-m", "facerec_site.container_health"],
        "Interval": 30,
        "Timeout": 5,
        "Retries": 2,
        "StartPeriod": 60,
    }


def test_failed_deployments_are_rolled_back(rendered: Rendered) -> None:
    for workload in ("api", "worker"):
        breaker = rendered.all()[workload]["Service"]["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
        assert breaker == {"Enable": True, "Rollback": True}
    # LowCpu is in ALARM without load, so a deployment that watched it would never succeed
    assert rendered.api["Service"]["DeploymentConfiguration"]["Alarms"] == {
        "Enable": True,
        "Rollback": True,
        "AlarmNames": ["<ServerErrors>"],
    }


def test_a_stopping_task_has_30_seconds_for_its_last_requests(rendered: Rendered) -> None:
    attributes = {
        entry["Key"]: entry["Value"] for entry in rendered.api["TargetGroup"]["TargetGroupAttributes"]
    }
    assert attributes["deregistration_delay.timeout_seconds"] == 30


def test_photos_bypass_the_nat_gateway(rendered: Rendered) -> None:
    assert rendered.environment["S3Endpoint"]["RouteTableIds"] == [
        "<PrivateRouteTable1>",
        "<PrivateRouteTable2>",
    ]


def test_there_is_one_nat_gateway_and_both_private_subnets_use_it(rendered: Rendered) -> None:
    assert rendered.environment.of_type("AWS::EC2::NatGateway").keys() == {"NatGateway1"}
    assert len(rendered.environment.of_type("AWS::EC2::EIP")) == 1
    gateways = {rendered.environment[route]["NatGatewayId"] for route in ("PrivateRoute1", "PrivateRoute2")}
    assert gateways == {"<NatGateway1>"}


def test_copilots_functions_use_a_current_runtime(rendered: Rendered) -> None:
    functions = [
        function
        for template in rendered.all().values()
        for function in template.of_type("AWS::Lambda::Function").values()
    ]
    assert len(functions) >= 8
    assert {function["Runtime"] for function in functions} == {"nodejs24.x"}


def test_tasks_have_only_the_permissions_for_photos_and_queue(rendered: Rendered) -> None:
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


def test_a_message_that_fails_five_times_moves_to_the_dead_letter_queue(rendered: Rendered) -> None:
    queue = rendered.addons["Queue"]
    assert queue["VisibilityTimeout"] == 360
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "<DeadLetterQueue.Arn>", "maxReceiveCount": 5}
    for properties in rendered.addons.of_type("AWS::SQS::Queue").values():
        assert properties["SqsManagedSseEnabled"] is True


def test_the_database_is_encrypted_and_backed_up_and_only_tasks_can_reach_it(rendered: Rendered) -> None:
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
    parameters = rendered.environment["AddonsStack"]["Parameters"]
    assert parameters["TasksSecurityGroup"] == "<EnvironmentSecurityGroup>"
    assert parameters["PrivateSubnets"] == "<PrivateSubnet1>,<PrivateSubnet2>"


def test_receipts_report_the_number_of_days_that_backups_are_kept(rendered: Rendered) -> None:
    days = rendered.addons["Database"]["BackupRetentionPeriod"]
    for workload in WORKLOADS:
        assert environment(rendered.all()[workload], workload)["FACEREC_BACKUP_DAYS"] == str(days)


def test_no_manifest_or_template_contains_a_secret(rendered: Rendered) -> None:
    for template in rendered.all().values():
        for task in template.of_type("AWS::ECS::TaskDefinition").values():
            for definition in task["ContainerDefinitions"]:
                assert not SECRETS & {variable["Name"] for variable in definition["Environment"]}
                assert all(
                    secret["ValueFrom"] == f"/facerec/{secret['Name']}" for secret in definition["Secrets"]
                )
    assert rendered.addons["Database"]["MasterUserPassword"] == (
        "{{resolve:ssm-secure:/facerec/DATABASE_PASSWORD}}"
    )
    files = [path for path in COPILOT.rglob("*") if path.is_file()]
    for path in files + [template.path for template in rendered.all().values()]:
        assert not re.search(r"AKIA[A-Z0-9]{16}|pcsk_|PRIVATE KEY|://[^/\s<$@]+:[^/\s$@]+@", path.read_text())


# cfn-lint's findings in text of Copilot's, which we can't change: rule, location, and why it is not a fault.
EXCEPTIONS = [
    ("W2001", r"(api|worker|maintenance) Parameters/.*", "one list of parameters for all kinds of manifests"),
    ("W8001", r"api Conditions/HasAssociatedDomain", "a condition for manifests with a domain"),
    (
        "W3005",
        r"(api|worker|maintenance) Resources/TaskDefinition/DependsOn",
        "repeats a dependency that a Ref implies",
    ),
    ("W3005", r"environment Resources/\w+/DependsOn.*", "repeats a dependency that a Ref or GetAtt implies"),
    ("W3037", r"api Resources/DynamicDesiredCountFunctionRole/.*", "allows an action that doesn't exist"),
    (
        "W3037",
        r"environment Resources/(EnvironmentManagerRole|CustomResourceRole)/.*",
        "allows actions that don't exist",
    ),
    (
        "W3011",
        r"environment Resources/(CloudformationExecutionRole|EnvironmentManagerRole)",
        "never replaced",
    ),
    ("W1001", r"environment Resources/HTTPSListener/.*", "conditions that are only true together"),
    (
        "E3676",
        r"environment Resources/InternalHTTPSListener/Properties",
        "of a load balancer that isn't created",
    ),
    (
        "E3601",
        r"maintenance Resources/StateMachine/.*",
        "the linter doesn't see the substitution in the ARN",
    ),
]


def lint(path: Path) -> list[tuple[str, str, str]]:
    """Return cfn-lint's findings: rule, path in the template, message."""
    process = subprocess.run(
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
    assert process.stderr == ""
    return [
        (
            finding["Rule"]["Id"],
            "/".join(str(step) for step in finding["Location"]["Path"] or []),
            finding["Message"],
        )
        for finding in json.loads(process.stdout)
    ]


@pytest.fixture(scope="session")
def findings(rendered: Rendered) -> list[tuple[str, str, str]]:
    return [
        (rule, f"{name} {location}", message)
        for name, template in rendered.all().items()
        if name != "api_with_static_keys"
        for rule, location, message in lint(template.path)
    ]


def test_cfn_lint_finds_no_fault_in_the_rendered_templates(findings: list[tuple[str, str, str]]) -> None:
    faults = [
        finding
        for finding in findings
        if not any(
            rule == finding[0] and re.fullmatch(location, finding[1]) for rule, location, _ in EXCEPTIONS
        )
    ]
    assert faults == []


def test_every_exception_to_cfn_lint_is_still_needed(findings: list[tuple[str, str, str]]) -> None:
    for rule, location, _ in EXCEPTIONS:
        assert any(rule == finding[0] and re.fullmatch(location, finding[1]) for finding in findings), (
            rule,
            location,
        )
