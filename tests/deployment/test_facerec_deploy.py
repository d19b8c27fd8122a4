"""The command `deploy/facerec-deploy` and what it says to an operator."""

from __future__ import annotations

import subprocess
import sys
import time

import boto3
import pytest
from facerec_deploy import cli
from facerec_deploy.configuration import FOLDER, STACKS

from tests.deployment.operating import Operator
from tests.deployment.templates import read

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


def test_a_misspelt_parameter_is_refused(run: Operator) -> None:
    run.parameters.write_text("MaxTask = 4\n")
    code, said = run("plan")
    assert (code, said.strip()) == (
        1,
        "facerec-deploy: No template has a parameter MaxTask. Did you mean MaxTasks?",
    )


@pytest.mark.parametrize(
    ("text", "problem"), [("MaxTasks =", "is not TOML"), ("MaxTasks = [1]", "must be a text")]
)
def test_a_file_that_can_t_be_read_is_refused(run: Operator, text: str, problem: str) -> None:
    run.parameters.write_text(text)
    code, said = run("plan")
    assert code == 1
    assert problem in said


def test_the_log_is_told_with_its_container(run: Operator) -> None:
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
def test_before_the_first_deployment_every_word_answers_plainly(
    run: Operator, words: tuple[str, ...]
) -> None:
    code, said = run(*words)
    assert "Traceback" not in said
    assert code == (0 if words == ("status",) else 1)
    assert ("not there" if words == ("status",) else "is deployed yet") in said


def test_a_missing_region_is_told(run: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_what_aws_refuses_is_told_without_a_traceback(run: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
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
