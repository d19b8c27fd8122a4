"""The benchmark as a Django app, so that manage.py finds its commands. Production settings leave it out."""

from django.apps import AppConfig


class BenchmarkConfig(AppConfig):
    name = "benchmark"
