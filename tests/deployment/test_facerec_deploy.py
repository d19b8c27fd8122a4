"""The arguments, parameters and errors of the command `deploy/facerec-deploy`."""

from __future__ import annotations

import subprocess
import sys
import time

import boto3
import pytest
from facerec_deploy.configuration import FOLDER, STACKS
from facerec_deploy.options import parser

from tests.deployment.operating import Operator
from tests.deployment.templates import read

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


def test_a_misspelt_parameter_is_refused_and_the_right_name_is_suggested(run: Operator) -> None:
    run.parameters.write_text("MaxTask = 4\n")
    code, output = run("plan")
    assert code == 1
    assert "MaxTasks?" in output


@pytest.mark.parametrize(
    ("text", "problem"), [("MaxTasks =", "TOML"), ("MaxTasks = [1]", "MaxTasks must be")]
)
def test_an_invalid_parameters_file_is_refused(run: Operator, text: str, problem: str) -> None:
    run.parameters.write_text(text)
    code, output = run("plan")
    assert code == 1
    assert problem in output


def test_log_lines_are_shown_with_their_container(run: Operator) -> None:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/ecs/facerec-api")
    for container in ("api", "worker"):
        stream = {"logGroupName": "/ecs/facerec-api", "logStreamName": f"ecs/{container}/1"}
        logs.create_log_stream(**stream)
        event = {"timestamp": int(time.time() * 1000), "message": f"from {container}"}
        logs.put_log_events(**stream, logEvents=[event])
    code, output = run("logs", "--since", "5m")
    assert code == 0
    assert "api      from api" in output
    assert "worker   from worker" in output


@pytest.mark.parametrize("arguments", [("status",), ("logs",), ("rollback",), ("exec", "--", "true")])
def test_every_command_reports_that_nothing_is_deployed_yet(
    run: Operator, arguments: tuple[str, ...]
) -> None:
    code, output = run(*arguments)
    assert "Traceback" not in output
    assert code == (0 if arguments == ("status",) else 1)
    assert "not deployed" in output


def test_a_missing_region_is_an_error(run: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    code, output = run("status")
    assert code == 1
    assert "AWS_REGION" in output


@pytest.mark.parametrize(
    "arguments", [("--region", "eu-west-1", "status"), ("status", "--region", "eu-west-1")]
)
def test_profile_and_region_are_accepted_before_and_after_the_subcommand(arguments: tuple[str, ...]) -> None:
    options = parser().parse_args(arguments)
    assert (options.region, options.profile) == ("eu-west-1", None)


def test_a_missing_library_is_reported_with_the_command_that_installs_it() -> None:
    process = subprocess.run(
        [sys.executable, "-S", FOLDER / "facerec-deploy", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "pip install --require-hashes -r requirements/deploy.txt" in process.stderr
    assert "Traceback" not in process.stderr


def test_an_error_of_aws_is_reported_without_a_traceback(
    run: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, output = run("status")
    assert code == 1
    assert output.startswith("facerec-deploy: AWS ")
    assert "Traceback" not in output


def test_the_guide_describes_every_subcommand_that_the_program_lists() -> None:
    process = subprocess.run(
        [sys.executable, FOLDER / "facerec-deploy", "--help"], capture_output=True, text=True, check=True
    )
    guide = (FOLDER.parent / "docs" / "aws.md").read_text()
    for subcommand in ("plan", "apply", "status", "rollback", "logs", "exec", "secrets", "image", "destroy"):
        assert f"  {subcommand} " in process.stdout
        assert f"facerec-deploy {subcommand}" in guide, f"docs/aws.md does not describe {subcommand}"


def test_templates_declare_every_parameter_of_the_example_file() -> None:
    declared = {
        name for part in STACKS for name in read(FOLDER / "cloudformation" / f"{part}.yaml")["Parameters"]
    }
    text = (FOLDER / "parameters.toml").read_text()
    example_names = {line.lstrip("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert example_names
    assert example_names <= declared
