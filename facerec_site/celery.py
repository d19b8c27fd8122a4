"""The Celery application. Tasks live in people.tasks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.beat import EmbeddedService
from celery.signals import setup_logging, task_postrun, task_prerun, worker_process_init
from django.conf import settings
from structlog.contextvars import bind_contextvars, unbind_contextvars

from facerec_site import choose_settings

choose_settings()
app = Celery("facerec")
app.set_default()  # for every thread, so that web requests send through it too
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["people"])


class Clock(bootsteps.StartStopStep):
    """Every worker's own beat, in a thread: it lives as long as its worker does.

    `celery worker --beat` runs it in a process, and does not miss that process when it is killed.
    What is scheduled may run twice at a time: it is safe to.
    """

    def create(self, worker: Any) -> Any:
        return EmbeddedService(worker.app, thread=True, scheduler_cls="celery.beat:Scheduler")


app.steps["worker"].add(Clock)

for folder in ("data_folder_in", "control_folder"):
    if path := getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).get(folder):
        Path(path).mkdir(parents=True, exist_ok=True)


@worker_process_init.connect
def load_models(**kwargs: object) -> None:
    """Load the models before the first task comes."""
    from people.engines import get_engine

    get_engine()


@setup_logging.connect
def keep_the_handlers(loglevel: int, **kwargs: object) -> None:
    """Let Celery set the level only: the handlers are those of facerec_site.logs."""
    logging.getLogger().setLevel(loglevel)


@task_prerun.connect
def name_the_task(task_id: str, task: Any, **kwargs: object) -> None:
    """Put the task's name and id on each line that is logged while it runs."""
    bind_contextvars(task=task.name, task_id=task_id)


@task_postrun.connect
def forget_the_task(**kwargs: object) -> None:
    unbind_contextvars("task", "task_id")
