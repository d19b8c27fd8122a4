"""The benchmark as a Django app, so that manage.py finds its commands. Production settings omit it."""

from django.apps import AppConfig


class BenchmarkConfig(AppConfig):
    name = "benchmark"
