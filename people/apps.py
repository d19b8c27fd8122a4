"""The Django app of the domain."""

from django.apps import AppConfig
from django.core import checks


class PeopleConfig(AppConfig):
    name = "people"
    verbose_name = "Faces"

    def ready(self) -> None:
        from people.engines.registry import check_models
        from people.s3.input_buckets import check_input_buckets

        checks.register(check_models, "models")
        checks.register(check_input_buckets, "security")
