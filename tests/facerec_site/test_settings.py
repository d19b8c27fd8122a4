"""What the environment chooses, and what a production start says when something is missing."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from facerec_site.settings import required
from people import capacity
from tests.production import COMPLETE, ROOT, production_setting, start

READERS = {"env", "env.int", "env.bool", "env.list", "env.db_url", "os.environ.get", "variables.get"}
INTERNAL = {"PROMETHEUS_MULTIPROC_DIR"}
"""Set by the service itself."""
MODELS = {"FACEREC_MODELS_DIR": os.environ["FACEREC_MODELS_DIR"]}


def _read_by_the_code() -> set[str]:
    names = set()
    commands = ROOT / "people" / "management"
    for path in [*(ROOT / "facerec_site").rglob("*.py"), *commands.rglob("*.py"), ROOT / "manage.py"]:
        if path.name == "test.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in READERS and node.args:
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}: the variable's name must be a literal"
                names.add(str(name.value))
    return names - INTERNAL


def test_every_variable_stands_in_the_table_and_nothing_else_does() -> None:
    table = re.findall(r"^\| `([A-Z_0-9]+)` \|", (ROOT / "docs" / "settings.md").read_text(), flags=re.M)
    assert len(table) == len(set(table))
    read = _read_by_the_code() | {"DJANGO_SETTINGS_MODULE"}
    assert read - set(table) == set(), "rows are missing in docs/settings.md"
    assert set(table) - read == set(), "docs/settings.md lists variables that nothing reads"


@pytest.mark.parametrize("name", [name for name in COMPLETE if name != "ENVIRONMENT"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_production_start_without_a_needed_variable_fails_with_its_name(name: str, empty: bool) -> None:
    variables = {**COMPLETE, name: ""} if empty else {one: COMPLETE[one] for one in COMPLETE if one != name}
    process = start(variables)
    assert process.returncode == 1
    assert f"{name} is missing" in process.stderr
    assert "Traceback" not in process.stderr


def test_all_that_is_missing_is_told_at_once_and_no_value_is() -> None:
    secret = {"SECRET_KEY": "hush-hush", "DATABASE_POOL_SIZE": "many-hush"}
    process = start({"ENVIRONMENT": "production", **secret})
    for name in ("ALLOWED_HOSTS", "DATABASE_URL", "CELERY_BROKER_URL", "AWS_STORAGE_BUCKET_NAME"):
        assert f"{name} is missing" in process.stderr
    assert "DATABASE_POOL_SIZE must be a whole number" in process.stderr
    assert "hush" not in process.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"DATABASE_URL": "mysql://somewhere"}, "DATABASE_URL must begin"),
        ({"CELERY_BROKER_URL": "http://somewhere"}, "CELERY_BROKER_URL must begin"),
        ({"CACHE_URL": "memcached://somewhere"}, "CACHE_URL must begin"),
        ({"CELERY_BROKER_URL": "sqs://"}, "SQS_QUEUE_URL is missing"),
        ({"TEMPLATE_INDEX": "milvus"}, "TEMPLATE_INDEX must be"),
        ({"TEMPLATE_INDEX": "pinecone"}, "PINECONE_API_KEY is missing"),
        ({"FACEREC_THREADS": "two"}, "FACEREC_THREADS must be a whole number"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be"),
    ],
)
def test_a_value_that_cannot_be_meant_is_told(variables: dict[str, str], told: str) -> None:
    process = start({**COMPLETE, **variables})
    assert process.returncode == 1
    assert told in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_gunicorn_and_celery_tell_it_too() -> None:
    incomplete = {name: COMPLETE[name] for name in COMPLETE if name != "SECRET_KEY"}
    served = start({**incomplete, "PORT": "0"}, "-m", "gunicorn", "--config",
                    "facerec_site/gunicorn_conf.py", "facerec_site.wsgi")  # fmt: skip
    worked = start(incomplete, "-m", "celery", "--app", "facerec_site.celery", "worker")
    assert "SECRET_KEY is missing" in served.stderr + served.stdout
    assert "SECRET_KEY is missing" in worked.stderr + worked.stdout
    assert served.returncode != 0
    assert worked.returncode != 0


@pytest.mark.slow
def test_a_disk_that_stays_replaces_the_shared_parts(tmp_path: Path) -> None:
    shared = ("DATABASE_URL", "CELERY_BROKER_URL", "AWS_STORAGE_BUCKET_NAME")
    variables = {name: COMPLETE[name] for name in COMPLETE if name not in shared}
    process = start({**variables, "FACEREC_VAR_DIR": str(tmp_path), **MODELS})
    assert process.returncode == 0, process.stderr


@pytest.mark.slow
def test_djangos_own_deployment_check_finds_nothing_but_the_operators_choice() -> None:
    process = start({**COMPLETE, **MODELS}, "manage.py", "check", "--deploy")
    assert process.returncode == 0, process.stderr
    # HSTS for other hosts of the domain, and for the lists that browsers bring along
    assert set(re.findall(r"security\.W\d+", process.stderr)) <= {"security.W005", "security.W021"}


def test_the_database_is_pooled_checked_and_bounded_in_time() -> None:
    url = COMPLETE["DATABASE_URL"] + "?sslmode=require"
    database = production_setting({"DATABASE_URL": url}, "DATABASES")["default"]
    assert database["CONN_HEALTH_CHECKS"]
    assert database["OPTIONS"]["pool"]["max_size"] == 12
    assert "statement_timeout=20000" in database["OPTIONS"]["options"]
    assert database["OPTIONS"]["sslmode"] == "require"


@pytest.mark.slow
def test_a_key_of_pinecone_chooses_pinecone_unless_embedded_is_asked_for() -> None:
    key = {"PINECONE_API_KEY": "of-no-account"}
    assert production_setting({}, "TEMPLATE_INDEX")["BACKEND"].endswith("EmbeddedIndex")
    assert production_setting(key, "TEMPLATE_INDEX")["BACKEND"].endswith("PineconeIndex")
    embedded = {**key, "TEMPLATE_INDEX": "embedded"}
    assert production_setting(embedded, "TEMPLATE_INDEX")["BACKEND"].endswith("EmbeddedIndex")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "JSONRenderer"),
        ({"LOG_FORMAT": ""}, "JSONRenderer"),
        ({"LOG_FORMAT": "line"}, "ConsoleRenderer"),
        ({"ENVIRONMENT": "development"}, "ConsoleRenderer"),
        ({"ENVIRONMENT": "development", "LOG_FORMAT": "json"}, "JSONRenderer"),
    ],
)
@pytest.mark.slow
def test_django_and_gunicorn_choose_the_same_log_format(
    variables: dict[str, str], expected: str, tmp_path: Path
) -> None:
    code = (
        "import django; django.setup(); from django.conf import settings;"
        "from facerec_site.gunicorn_conf import logconfig_dict;"
        "configurations = (settings.LOGGING, logconfig_dict);"
        "print(*(type(one['formatters']['console']['processors'][-1]).__name__ for one in configurations))"
    )
    settings = f"facerec_site.settings.{variables.get('ENVIRONMENT', 'production')}"
    process = start({**COMPLETE, "DJANGO_SETTINGS_MODULE": settings, "TMPDIR": str(tmp_path), **variables},
                   "-c", code)  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == [expected, expected]


def _gunicorn(variables: dict[str, str], name: str) -> Any:
    code = f"from facerec_site import gunicorn_conf; print(repr(gunicorn_conf.{name}))"
    process = start({**COMPLETE, **variables}, "-c", code)
    assert process.returncode == 0, process.stderr
    return ast.literal_eval(process.stdout)


def test_a_process_has_threads_to_spare_for_refusals_and_a_connection_for_each() -> None:
    threads = _gunicorn({}, "threads")
    assert threads > capacity.MAX_REQUESTS
    assert production_setting({}, "DATABASES")["default"]["OPTIONS"]["pool"]["max_size"] == threads


@pytest.mark.slow
def test_bucket_and_queue_are_in_the_one_region_that_is_set() -> None:
    variables = {"CELERY_BROKER_URL": "sqs://", "SQS_QUEUE_URL": "http://127.0.0.1:1/1/facerec"}
    for region in ({"AWS_REGION": "eu-north-1"}, {"AWS_REGION": ""}, {}):
        chosen = region.get("AWS_REGION") or None
        assert (
            production_setting({**variables, **region}, "STORAGES")["default"]["OPTIONS"]["region_name"]
            == chosen
        )
        queue = production_setting({**variables, **region}, "CELERY_BROKER_TRANSPORT_OPTIONS")["region"]
        assert queue == (chosen or "us-east-1")


@pytest.mark.slow
def test_the_workers_memory_limit_reaches_celery() -> None:
    code = "from facerec_site.celery import app; print(app.conf.worker_max_memory_per_child)"
    for variables, megabytes in (({}, 1200), ({"WORKER_MAX_MEMORY_MB": "700"}, 700)):
        process = start({**COMPLETE, **variables}, "-c", code)
        assert process.returncode == 0, process.stderr
        assert int(process.stdout) == megabytes * 1024


def test_every_variable_that_is_read_as_a_number_is_checked_to_be_one() -> None:
    read = set()
    for path in [
        *(ROOT / "facerec_site" / "settings").glob("*.py"),
        ROOT / "facerec_site" / "gunicorn_conf.py",
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            reader = ast.unparse(node.func)
            if reader in ("int", "float") and isinstance(node.args[0], ast.Call):
                node = node.args[0]  # int(os.environ.get(…))
                assert ast.unparse(node.func) in READERS
            elif reader != "env.int":
                continue
            read.add(ast.literal_eval(node.args[0]))
    assert read == set(required.NUMBERS)


@pytest.mark.parametrize("value", ["$ecret" * 10, "$PATH", "$", "a$b\\$c\\\\$d", "\\$ecret"])
@pytest.mark.slow
def test_a_dollar_stands_for_itself(value: str) -> None:
    # django-environ would look for a variable of that name, and take \$ for $
    url = f"postgres://facerec:{quote(value, safe='$')}@127.0.0.1:1/facerec"
    variables = {"SECRET_KEY": value, "PINECONE_API_KEY": value, "DATABASE_URL": url}
    assert production_setting(variables, "SECRET_KEY") == value
    assert production_setting(variables, "TEMPLATE_INDEX")["OPTIONS"]["api_key"] == value
    assert production_setting(variables, "DATABASES")["default"]["PASSWORD"] == value


@pytest.mark.slow
def test_the_small_installation_starts_without_the_packages_of_production(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "for name in ('boto3', 'botocore', 'storages', 'psycopg', 'redis', 'pinecone'):\n"
        "    sys.modules[name] = None\n"
        "import facerec_site.wsgi, facerec_site.celery, facerec_site.urls\n"
        "from people.tasks import sweep\n"
        "from django.core.management import call_command\n"
        "call_command('check')\n"
    )
    process = start({**MODELS, "FACEREC_VAR_DIR": str(tmp_path)}, "-c", script)
    assert process.returncode == 0, process.stderr
