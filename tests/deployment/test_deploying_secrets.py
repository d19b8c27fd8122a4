"""Secrets are stored, generated and rotated, and never shown."""

from __future__ import annotations

import boto3
import pytest
from facerec_deploy.account import Account
from facerec_deploy.secret_store import SecretStore

from tests.deployment.operating import Operator

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")]


def test_a_secret_is_read_from_standard_input_and_never_shown(run: Operator) -> None:
    code, output = run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account\n")
    assert code == 0
    assert "pcsk" not in output
    parameter = boto3.client("ssm").get_parameter(Name="/facerec/PINECONE_API_KEY", WithDecryption=True)[
        "Parameter"
    ]
    assert (parameter["Type"], parameter["Value"]) == ("SecureString", "pcsk_of-no-account")
    code, output = run("secrets", "list")
    assert "pcsk" not in output
    assert "/facerec/SECRET_KEY              missing" in output


def test_a_secret_is_not_accepted_as_an_argument(run: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("secrets", "put", "PINECONE_API_KEY", "pcsk_of-no-account")
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_empty_secret_is_refused(run: Operator, value: str) -> None:
    code, output = run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    assert code == 1
    assert "PINECONE_API_KEY" in output
    assert boto3.client("ssm").describe_parameters()["Parameters"] == []


def test_secrets_have_the_tags_that_copilot_requires(run: Operator) -> None:
    for value in ("first", "second"):
        run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    tags = boto3.client("ssm").list_tags_for_resource(
        ResourceType="Parameter", ResourceId="/facerec/PINECONE_API_KEY"
    )["TagList"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "copilot-application": "facerec",
        "copilot-environment": "prod",
    }


def test_only_a_missing_secret_can_be_generated(run: Operator) -> None:
    assert run("secrets", "put", "SECRET_KEY", "--generate")[0] == 0
    code, output = run("secrets", "put", "SECRET_KEY", "--generate")
    assert code == 1
    assert "secrets rotate SECRET_KEY" in output
    code, output = run("secrets", "put", "PINECONE_API_KEY", "--generate")
    assert code == 1
    assert "PINECONE_API_KEY" in output


def secret(name: str) -> str:
    parameter = boto3.client("ssm").get_parameter(Name=f"/facerec/{name}", WithDecryption=True)["Parameter"]
    return str(parameter["Value"])


def test_rotating_a_secret_starts_new_tasks(deployed: Operator) -> None:
    before = secret("SECRET_KEY")
    code, output = deployed("secrets", "rotate", "SECRET_KEY")
    assert code == 0, output
    assert secret("SECRET_KEY") != before
    assert secret("SECRET_KEY") not in output
    assert "facerec-api: " in output
    assert "facerec-api-worker: " in output


def test_rotating_the_database_password_changes_it_in_the_database(deployed: Operator) -> None:
    code, output = deployed("secrets", "rotate", "DATABASE_PASSWORD")
    assert code == 0, output
    assert "database's password" in output


def test_the_administrators_password_is_not_rotated(
    run: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("secrets", "rotate", "ADMIN_PASSWORD")
    message = capsys.readouterr().err.rpartition("invalid choice: ")[2]
    assert "DATABASE_PASSWORD" in message
    assert "ADMIN_PASSWORD" in message.partition("(")[0]
    assert "ADMIN_PASSWORD" not in message.partition("(")[2]


def test_generating_the_administrators_password_again_refers_to_the_admin(run: Operator) -> None:
    assert run("secrets", "put", "ADMIN_PASSWORD", "--generate")[0] == 0
    before = secret("ADMIN_PASSWORD")
    code, output = run("secrets", "put", "ADMIN_PASSWORD", "--generate")
    assert code == 1
    assert "It is read on the first start only. Change the password in the admin." in output
    assert "rotate" not in output
    assert secret("ADMIN_PASSWORD") == before


def test_a_generated_database_password_is_long_and_valid_for_rds(run: Operator) -> None:
    store = SecretStore(Account(None, None, print))
    value = store.generate("DATABASE_PASSWORD")
    assert len(value) >= 40
    assert not set(value) & set("/@\" '")  # RDS rejects these characters
