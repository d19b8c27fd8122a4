"""The Celery application. The tasks are defined in people.tasks."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.beat import EmbeddedService
from celery.schedules import crontab
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
)
from django.conf import settings
from django.core import checks
from structlog.contextvars import bind_contextvars, unbind_contextvars

from facerec_site import choose_settings
from facerec_site.system_checks import exit_on_errors
from people.broker import Task

choose_settings()
# Celery runs Django's system checks when a worker starts but ignores their results: `check` below doesn't.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
app = Celery("facerec")
app.set_default()  # for every thread, so that web requests also send their tasks through it
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["people"])
app.conf.beat_schedule = {
    "sweep-the-outbox": {"task": Task.SWEEP, "schedule": 5.0},
    # At fixed times: with intervals, a worker that restarts often would start each interval again.
    "forget-old-answers": {"task": Task.FORGET_OLD_ANSWERS, "schedule": crontab(minute="17")},
    "compare-the-index": {"task": Task.AUDIT_INDEX, "schedule": crontab(hour="3", minute="40")},
    "apply-retention": {"task": Task.APPLY_RETENTION, "schedule": crontab(minute="20")},
    "prune-the-outbox": {"task": Task.PRUNE_OUTBOX, "schedule": crontab(minute="50")},
}


def check_tasks(**kwargs: object) -> list[checks.CheckMessage]:
    """Report tasks that are sent or scheduled but not registered, or registered but can't be sent."""
    import_module("people.tasks")
    registered = {name for name in app.tasks if name.startswith("people.")}
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    return [
        checks.Error(
            f"The task {name} must be listed in people.broker.Task and registered in people.tasks.",
            hint="Correct the place where the name is missing or differs. Don't rename a task: queued"
            " messages refer to it by name.",
            id="facerec.E001",
        )
        for name in sorted(registered ^ set(Task) | (scheduled - registered))
    ]


class Clock(bootsteps.StartStopStep):
    """The scheduler (Celery beat), as a thread of every worker.

    `celery worker --beat` runs the scheduler in a separate process and doesn't notice when that process is
    killed. With several workers, a scheduled task may run more than once at the same time.
    """

    def create(self, worker: Any) -> Any:
        return EmbeddedService(worker.app, thread=True, scheduler_cls="celery.beat:Scheduler")


app.steps["worker"].add(Clock)

for folder in ("data_folder_in", "control_folder"):
    if path := getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).get(folder):
        Path(path).mkdir(parents=True, exist_ok=True)


@worker_init.connect
def check(**kwargs: object) -> None:
    """Run Django's system checks before the worker starts, and exit if one finds an error."""
    exit_on_errors()


@worker_process_init.connect
def load_models(**kwargs: object) -> None:
    """Load the models before the first task arrives."""
    from people.engines import get_engine

    get_engine()


@setup_logging.connect
def keep_the_handlers(loglevel: int, **kwargs: object) -> None:
    """Let Celery set only the log level. The handlers are configured in facerec_site.logs."""
    logging.getLogger().setLevel(loglevel)


@task_prerun.connect
def name_the_task(task_id: str, task: Any, **kwargs: object) -> None:
    """Add the task's name and id to every line logged while it runs."""
    bind_contextvars(task=task.name, task_id=task_id)


@task_postrun.connect
def forget_the_task(**kwargs: object) -> None:
    unbind_contextvars("task", "task_id")
