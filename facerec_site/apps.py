"""The admin site, as an app."""

from django.contrib.admin.apps import AdminConfig
from django.core import checks


class FacerecAdminConfig(AdminConfig):
    default_site = "facerec_site.admin.FacerecAdminSite"

    def ready(self) -> None:
        super().ready()
        # Tasks sent from any process go through this application.
        from facerec_site.celery import check_tasks

        checks.register(check_tasks, "tasks")
