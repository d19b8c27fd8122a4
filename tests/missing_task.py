"""A Django app that schedules a task which doesn't exist, for tests/facerec_site/test_start_up.py."""

from __future__ import annotations

from django.apps import AppConfig


class MissingTask(AppConfig):
    name = "tests.missing_task"

    def ready(self) -> None:
        from facerec_site.celery import app

        app.conf.beat_schedule["missing"] = {"task": "people.tasks.missing", "schedule": 5.0}
