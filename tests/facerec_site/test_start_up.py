"""Web and worker start only if Django's system checks find no error, and say what is wrong."""

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


def test_tasks_keep_the_names_that_queued_messages_carry() -> None:
    assert set(Task) == NAMES
    assert {name for name in app.tasks if name.startswith("people.")} == NAMES


def test_every_task_that_is_sent_or_scheduled_exists() -> None:
    assert check_tasks() == []


def test_a_task_that_is_scheduled_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"task": "people.tasks.missing", "schedule": 5.0}
    monkeypatch.setitem(app.conf.beat_schedule, "missing", missing)
    assert [(error.id, "people.tasks.missing" in error.msg) for error in check_tasks()] == [
        ("facerec.E001", True)
    ]


def test_a_task_that_is_registered_and_has_no_name_to_send_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.tasks, "people.tasks.unlisted", app.tasks[Task.SWEEP])
    assert ["people.tasks.unlisted" in error.msg for error in check_tasks()] == [True]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[checks.CheckMessage]:
    """What one more system check finds."""
    registry = checks.registry.registry
    monkeypatch.setattr(registry, "registered_checks", set(registry.registered_checks))
    messages: list[checks.CheckMessage] = []

    def check(**kwargs: Any) -> list[checks.CheckMessage]:
        return messages

    registry = checks.registry.registry
    monkeypatch.setattr(registry, "registered_checks", set(registry.registered_checks))
    checks.register(check)
    return messages


def test_an_error_of_any_check_ends_the_start_and_every_error_is_listed(
    found: list[checks.CheckMessage],
) -> None:
    found += [
        checks.Error("The first is broken.", hint="Mend it.", id="facerec.E901"),
        checks.Critical("So is the second.", id="facerec.E902"),
    ]
    with pytest.raises(SystemExit) as ended:
        preloading.prepare()
    told = str(ended.value)
    assert told.startswith("facerec-api can't start:")
    for part in ("facerec.E901", "The first is broken.", "Mend it.", "facerec.E902", "So is the second."):
        assert part in told


def test_a_warning_is_told_and_ends_nothing(
    found: list[checks.CheckMessage], capsys: pytest.CaptureFixture[str]
) -> None:
    found.append(checks.Warning("This may be meant.", id="facerec.W901"))
    exit_on_errors()
    assert "This may be meant." in capsys.readouterr().err


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
def test_a_process_whose_schedule_names_a_missing_task_says_so_and_ends(
    command: list[str], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    start = subprocess.run(
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
    assert start.returncode == 1, start.stderr
    assert "facerec-api can't start:" in start.stderr
    assert "people.tasks.missing" in start.stderr
    assert "Traceback" not in start.stderr
    assert list(temporary.glob("facerec-*")) == []
