"""/metrics for Prometheus: the counters of all web processes, and counts from the database."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from people.failed_tasks import failed_tasks
from people.indexes import remote_index
from people.models import Erasure, MeanTemplate, OutboxEntry, Person, Photo


def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics to clients that send METRICS_TOKEN. Responds with 404 if METRICS_TOKEN isn't set."""
    if not settings.METRICS_TOKEN:
        raise Http404
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not secrets.compare_digest(token.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", "text/plain", status=401)
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry = REGISTRY
    database_registry = CollectorRegistry()
    database_registry.register(_DatabaseCollector())
    return HttpResponse(generate_latest(registry) + generate_latest(database_registry), CONTENT_TYPE_LATEST)


class _DatabaseCollector:
    """Counts rows each time the metrics are requested."""

    def collect(self) -> Iterator[Metric]:
        open_entries = OutboxEntry.objects.filter(done_at=None)
        backlog = GaugeMetricFamily("facerec_outbox_backlog", "Tasks not done yet.", labels=["topic"])
        oldest = GaugeMetricFamily(
            "facerec_outbox_oldest_seconds", "Age of the oldest task not done yet.", labels=["topic"]
        )
        now = timezone.now()
        for row in open_entries.values("topic").annotate(count=Count("pk"), first=Min("created_at")):
            backlog.add_metric([row["topic"]], row["count"])
            oldest.add_metric([row["topic"]], (now - row["first"]).total_seconds())
        yield backlog
        yield oldest
        yield _gauge("facerec_dead_letters", "Tasks that failed after ten attempts.", failed_tasks().count())
        photos = GaugeMetricFamily("facerec_photos", "Photos by status.", labels=["status"])
        for status, count in Photo.objects.values_list("status").annotate(count=Count("pk")):
            photos.add_metric([status], count)
        yield photos
        yield _gauge("facerec_persons", "Enrolled people.", Person.objects.count())
        unindexed = MeanTemplate.objects.filter(indexed_at=None).count() if remote_index() else 0
        yield _gauge(
            "facerec_index_waiting", "Vectors that the remote index hasn't confirmed yet.", unindexed
        )
        pending_erasures = Erasure.objects.filter(completed_at=None).count()
        yield _gauge("facerec_erasures_pending", "Erasures whose purge isn't verified yet.", pending_erasures)


def _gauge(name: str, documentation: str, value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
