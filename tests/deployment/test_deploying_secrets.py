"""Secrets: put, made up, rotated, never shown."""

from __future__ import annotations

import boto3
import pytest
from facerec_deploy.account import Account
from facerec_deploy.secret_store import SecretStore

from tests.deployment.operating import Operator

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")]


def test_a_secret_is_read_from_standard_input_and_never_shown(run: Operator) -> None:
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


def test_no_word_takes_a_secret_as_an_argument(run: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("secrets", "put", "PINECONE_API_KEY", "pcsk_of-no-account")
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_empty_secret_is_refused(run: Operator, value: str) -> None:
    code, said = run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    assert code == 1
    assert "was not changed" in said


def test_secrets_bear_the_tags_that_copilot_asks_for(run: Operator) -> None:
    for value in ("first", "second"):
        run("secrets", "put", "PINECONE_API_KEY", stdin=value)
    tags = boto3.client("ssm").list_tags_for_resource(
        ResourceType="Parameter", ResourceId="/facerec/PINECONE_API_KEY"
    )["TagList"]
    assert {one["Key"]: one["Value"] for one in tags} == {
        "copilot-application": "facerec",
        "copilot-environment": "prod",
    }


def test_a_made_up_secret_is_not_made_up_again_by_mistake(run: Operator) -> None:
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


def test_rotating_a_secret_starts_new_tasks(deployed: Operator) -> None:
    before = secret("SECRET_KEY")
    code, said = deployed("secrets", "rotate", "SECRET_KEY")
    assert code == 0, said
    assert secret("SECRET_KEY") != before
    assert secret("SECRET_KEY") not in said
    assert "facerec-api: new tasks are being started" in said
    assert "facerec-api-worker: new tasks are being started" in said


def test_rotating_the_database_s_password_tells_the_database(deployed: Operator) -> None:
    code, said = deployed("secrets", "rotate", "DATABASE_PASSWORD")
    assert code == 0, said
    assert "The database takes the new password" in said


def test_rotating_the_administrator_s_password_says_where_it_is_changed(run: Operator) -> None:
    code, said = run("secrets", "rotate", "ADMIN_PASSWORD")
    assert code == 1
    assert "Change the password in the admin" in said


def test_it_makes_no_secret_known_to_its_own_log(run: Operator) -> None:
    store = SecretStore(Account(None, None, print))
    value = store.generate("DATABASE_PASSWORD")
    assert len(value) >= 40
    assert not set(value) & set("/@\" '")  # RDS takes no such signs
