"""Web and worker processes run Django's system checks, and exit with their errors if there are any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core import checks

from facerec_site import preloading
from facerec_site.celery import app, check_tasks
from facerec_site.system_checks import exit_on_errors
from people.broker import Task
from tests.service import ROOT

NAMES = {
    "people.tasks.deliver",
    "people.tasks.sweep",
    "people.tasks.tend_index",
    "people.tasks.audit_index",
    "people.tasks.forget_old_answers",
    "people.tasks.apply_retention",
    "people.tasks.prune_outbox",
}


def test_task_names_do_not_change_because_queued_messages_contain_them() -> None:
    assert set(Task) == NAMES
    assert {name for name in app.tasks if name.startswith("people.")} == NAMES


def test_every_task_that_is_queued_or_scheduled_exists() -> None:
    assert check_tasks() == []


def test_scheduling_a_task_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"task": "people.tasks.missing", "schedule": 5.0}
    monkeypatch.setitem(app.conf.beat_schedule, "missing", missing)
    assert [(error.id, "people.tasks.missing" in error.msg) for error in check_tasks()] == [
        ("facerec.E001", True)
    ]


def test_a_registered_task_that_is_not_listed_in_the_task_enum_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.tasks, "people.tasks.unlisted", app.tasks[Task.SWEEP])
    assert ["people.tasks.unlisted" in error.msg for error in check_tasks()] == [True]


@pytest.fixture
def check_messages(monkeypatch: pytest.MonkeyPatch) -> list[checks.CheckMessage]:
    """The messages of an additional system check, for the test to fill in."""
    messages: list[checks.CheckMessage] = []

    def check(**kwargs: Any) -> list[checks.CheckMessage]:
        return messages

    registry = checks.registry.registry
    monkeypatch.setattr(registry, "registered_checks", set(registry.registered_checks))
    checks.register(check)
    return messages


def test_start_up_exits_with_every_error_of_every_check(check_messages: list[checks.CheckMessage]) -> None:
    check_messages += [
        checks.Error("The first part is broken.", hint="Repair it.", id="facerec.E901"),
        checks.Critical("The second part is broken.", id="facerec.E902"),
    ]
    with pytest.raises(SystemExit) as exit_info:
        preloading.prepare()
    report = str(exit_info.value)
    for message in check_messages:
        for part in (message.id, message.msg, message.hint or ""):
            assert str(part) in report


def test_a_warning_is_printed_and_start_up_continues(
    check_messages: list[checks.CheckMessage], capsys: pytest.CaptureFixture[str]
) -> None:
    check_messages.append(checks.Warning("This may be intended.", id="facerec.W901"))
    exit_on_errors()
    assert "facerec.W901" in capsys.readouterr().err


@pytest.mark.once
@pytest.mark.parametrize(
    "command",
    [
        ["gunicorn", "--config", "facerec_site/gunicorn_conf.py", "facerec_site.wsgi"],
        ["celery", "--app", "facerec_site.celery", "worker", "--loglevel", "WARNING"],
    ],
    ids=["web", "worker"],
)
@pytest.mark.slow
def test_a_process_whose_schedule_names_a_missing_task_reports_it_and_exits(
    command: list[str], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_missing_task",
            "ENVIRONMENT": "development",
            "FACEREC_TEST_FAKE_ENGINE": "1",
            "FACEREC_VAR_DIR": str(tmp_path),
            "PORT": "0",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 1, process.stderr
    assert "facerec.E001" in process.stderr
    assert "people.tasks.missing" in process.stderr
    assert "Traceback" not in process.stderr
    assert list(temporary.glob("facerec-*")) == []
