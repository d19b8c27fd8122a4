"""The Django app of the admin site."""

from django.contrib.admin.apps import AdminConfig
from django.core import checks


class FacerecAdminConfig(AdminConfig):
    default_site = "facerec_site.admin.FacerecAdminSite"

    def ready(self) -> None:
        super().ready()
        # The import makes this Celery application the default in every process that sends tasks.
        from facerec_site.celery import check_tasks

        checks.register(check_tasks, "tasks")
