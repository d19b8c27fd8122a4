"""The Celery application. Tasks live in people.tasks."""

from __future__ import annotations

from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init
from django.conf import settings

from facerec_site import choose_settings

choose_settings()
app = Celery("facerec")
app.set_default()  # for every thread, so that web requests send through it too
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["people"])

for folder in ("data_folder_in", "control_folder"):
    if path := getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).get(folder):
        Path(path).mkdir(parents=True, exist_ok=True)


@worker_process_init.connect
def load_models(**kwargs: object) -> None:
    """Load the models before the first task comes."""
    from people.engines import get_engine

    get_engine()
