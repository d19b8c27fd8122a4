"""Settings that depend on environment variables, and the errors of an incomplete production start."""

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
"""Variables that the service sets itself."""
MODELS = {"FACEREC_MODELS_DIR": os.environ["FACEREC_MODELS_DIR"]}


def _variables_in_the_code() -> set[str]:
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


def test_docs_settings_md_lists_exactly_the_variables_that_the_code_reads() -> None:
    documented = re.findall(r"^\| `([A-Z_0-9]+)` \|", (ROOT / "docs" / "settings.md").read_text(), flags=re.M)
    assert len(documented) == len(set(documented))
    in_code = _variables_in_the_code() | {"DJANGO_SETTINGS_MODULE"}
    assert in_code - set(documented) == set(), "rows are missing in docs/settings.md"
    assert set(documented) - in_code == set(), "docs/settings.md lists variables that nothing reads"


def _reported_variables(stderr: str) -> set[str]:
    """Return the names of the variables that a failed production start lists, one per indented line."""
    return set(re.findall(r"^  ([A-Z_0-9]+) ", stderr, flags=re.M))


@pytest.mark.parametrize("name", [name for name in COMPLETE if name != "ENVIRONMENT"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_production_start_without_a_required_variable_fails_and_names_it(name: str, empty: bool) -> None:
    variables = {variable: value for variable, value in COMPLETE.items() if variable != name}
    process = start(variables | {name: ""} if empty else variables)
    assert process.returncode == 1
    assert _reported_variables(process.stderr) == {name}
    assert "Traceback" not in process.stderr


def test_a_production_start_lists_every_missing_or_invalid_variable_but_no_value() -> None:
    secrets = {"SECRET_KEY": "hush-hush", "DATABASE_POOL_SIZE": "many-hush"}
    process = start({"ENVIRONMENT": "production", **secrets})
    assert _reported_variables(process.stderr) == {
        "ALLOWED_HOSTS", "DATABASE_URL", "CELERY_BROKER_URL", "AWS_STORAGE_BUCKET_NAME", "DATABASE_POOL_SIZE",
    }  # fmt: skip
    assert "hush" not in process.stderr


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({"DATABASE_URL": "mysql://somewhere"}, "DATABASE_URL"),
        ({"CELERY_BROKER_URL": "http://somewhere"}, "CELERY_BROKER_URL"),
        ({"CACHE_URL": "memcached://somewhere"}, "CACHE_URL"),
        ({"CELERY_BROKER_URL": "sqs://"}, "SQS_QUEUE_URL"),
        ({"TEMPLATE_INDEX": "milvus"}, "TEMPLATE_INDEX"),
        ({"TEMPLATE_INDEX": "pinecone"}, "PINECONE_API_KEY"),
        ({"FACEREC_THREADS": "two"}, "FACEREC_THREADS"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
    ],
)
def test_a_production_start_with_an_invalid_value_fails_and_names_the_variable(
    variables: dict[str, str], reported: str
) -> None:
    process = start({**COMPLETE, **variables})
    assert process.returncode == 1
    assert _reported_variables(process.stderr) == {reported}
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_gunicorn_and_celery_report_missing_variables_as_well() -> None:
    incomplete = {name: COMPLETE[name] for name in COMPLETE if name != "SECRET_KEY"}
    gunicorn = start({**incomplete, "PORT": "0"}, "-m", "gunicorn", "--config",
                     "facerec_site/gunicorn_conf.py", "facerec_site.wsgi")  # fmt: skip
    worker = start(incomplete, "-m", "celery", "--app", "facerec_site.celery", "worker")
    for process in (gunicorn, worker):
        assert _reported_variables(process.stderr + process.stdout) == {"SECRET_KEY"}
        assert process.returncode != 0


@pytest.mark.slow
def test_a_persistent_disk_replaces_database_broker_and_bucket(tmp_path: Path) -> None:
    shared = ("DATABASE_URL", "CELERY_BROKER_URL", "AWS_STORAGE_BUCKET_NAME")
    variables = {name: COMPLETE[name] for name in COMPLETE if name not in shared}
    process = start({**variables, "FACEREC_VAR_DIR": str(tmp_path), **MODELS})
    assert process.returncode == 0, process.stderr


@pytest.mark.slow
def test_djangos_deployment_check_only_warns_of_what_the_operator_decides() -> None:
    process = start({**COMPLETE, **MODELS}, "manage.py", "check", "--deploy")
    assert process.returncode == 0, process.stderr
    # HSTS for the domain's other hosts, and for the preload lists of browsers
    assert set(re.findall(r"security\.W\d+", process.stderr)) <= {"security.W005", "security.W021"}


def test_database_connections_are_pooled_and_health_checked_and_statements_time_out() -> None:
    url = COMPLETE["DATABASE_URL"] + "?sslmode=require"
    database = production_setting({"DATABASE_URL": url}, "DATABASES")["default"]
    assert database["CONN_HEALTH_CHECKS"]
    assert database["OPTIONS"]["pool"]["max_size"] == 12
    assert "statement_timeout=20000" in database["OPTIONS"]["options"]
    assert database["OPTIONS"]["sslmode"] == "require"


@pytest.mark.slow
def test_a_pinecone_api_key_selects_pinecone_unless_template_index_is_embedded() -> None:
    api_key = {"PINECONE_API_KEY": "of-no-account"}
    assert production_setting({}, "TEMPLATE_INDEX")["BACKEND"].endswith("EmbeddedIndex")
    assert production_setting(api_key, "TEMPLATE_INDEX")["BACKEND"].endswith("PineconeIndex")
    embedded = {**api_key, "TEMPLATE_INDEX": "embedded"}
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
        "renderers = (each['formatters']['console']['processors'][-1] for each in configurations);"
        "print(*(type(renderer).__name__ for renderer in renderers))"
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


def test_a_process_has_spare_threads_for_refusals_and_a_connection_for_each_thread() -> None:
    threads = _gunicorn({}, "threads")
    assert threads > capacity.MAX_REQUESTS
    assert production_setting({}, "DATABASES")["default"]["OPTIONS"]["pool"]["max_size"] == threads


@pytest.mark.slow
def test_bucket_and_queue_are_both_in_aws_region() -> None:
    sqs = {"CELERY_BROKER_URL": "sqs://", "SQS_QUEUE_URL": "http://127.0.0.1:1/1/facerec"}
    for region in ({"AWS_REGION": "eu-north-1"}, {"AWS_REGION": ""}, {}):
        variables = {**sqs, **region}
        expected = region.get("AWS_REGION") or None
        bucket_options = production_setting(variables, "STORAGES")["default"]["OPTIONS"]
        queue_options = production_setting(variables, "CELERY_BROKER_TRANSPORT_OPTIONS")
        assert bucket_options["region_name"] == expected
        assert queue_options["region"] == (expected or "us-east-1")


@pytest.mark.slow
def test_the_workers_memory_limit_reaches_celery() -> None:
    code = "from facerec_site.celery import app; print(app.conf.worker_max_memory_per_child)"
    for variables, megabytes in (({}, 1200), ({"WORKER_MAX_MEMORY_MB": "700"}, 700)):
        process = start({**COMPLETE, **variables}, "-c", code)
        assert process.returncode == 0, process.stderr
        assert int(process.stdout) == megabytes * 1024


def test_every_numeric_variable_is_validated_at_start_up() -> None:
    numeric = set()
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
            numeric.add(ast.literal_eval(node.args[0]))
    assert numeric == set(required.NUMBERS)


@pytest.mark.parametrize("value", ["$ecret" * 10, "$PATH", "$", "a$b\\$c\\\\$d", "\\$ecret"])
@pytest.mark.slow
def test_dollar_signs_in_values_are_literal(value: str) -> None:
    # by default django-environ takes $name for another variable's value, and \$ for $
    url = f"postgres://facerec:{quote(value, safe='$')}@127.0.0.1:1/facerec"
    variables = {"SECRET_KEY": value, "PINECONE_API_KEY": value, "DATABASE_URL": url}
    assert production_setting(variables, "SECRET_KEY") == value
    assert production_setting(variables, "TEMPLATE_INDEX")["OPTIONS"]["api_key"] == value
    assert production_setting(variables, "DATABASES")["default"]["PASSWORD"] == value


@pytest.mark.slow
def test_a_small_installation_starts_without_the_production_packages(tmp_path: Path) -> None:
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
