"""Reports each request: a line in the access log, Prometheus metrics and CloudWatch embedded metrics.

The reports contain the route's pattern instead of the path. So they show neither ids nor queries, and the
number of time series is bounded.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from facerec_site.logs import route

logger = logging.getLogger("facerec.access")
emf = logging.getLogger("facerec.emf")
REQUESTS = Counter("facerec_requests_total", "Requests processed.", ["method", "route", "status"])
SECONDS = Histogram(
    "facerec_request_seconds",
    "Time to process a request.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_METHODS = {"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"}


class ObservationMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        method = request.method if request.method in _METHODS else "other"
        pattern = route(request)
        REQUESTS.labels(method, pattern, response.status_code).inc()
        SECONDS.labels(method, pattern).observe(seconds)
        fields = {
            "method": method,
            "route": pattern,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "actor": _actor(request),
        }
        logger.info("request", extra=fields)
        if settings.METRICS_EMF:
            emf.info(json.dumps(_embedded(method or "other", pattern, response.status_code, seconds)))
        return response


def _actor(request: Any) -> str:
    """Return the actor as the audit log names it, or `-` if the request isn't authenticated."""
    if key := getattr(request, "key_prefix", None):
        return f"key:{key}"
    user = getattr(request, "user", None)
    with suppress(Error):  # the session can't be read if the database is unavailable
        if user is not None and user.is_authenticated:
            return f"user:{user.pk}"
    return "-"


def _embedded(method: str, route: str, status: int, seconds: float) -> dict[str, Any]:
    """Return a line's content in CloudWatch's embedded metric format, version 0 of its specification."""
    metrics = [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Requests", "Unit": "Count"},
               {"Name": "Errors", "Unit": "Count"}]  # fmt: skip
    return {
        "_aws": {
            "Timestamp": round(time.time() * 1000),
            "CloudWatchMetrics": [
                {"Namespace": "facerec", "Dimensions": [["Route", "Method"]], "Metrics": metrics}
            ],
        },
        "Route": route,
        "Method": method,
        "Latency": round(seconds * 1000, 1),
        "Requests": 1,
        "Errors": int(status >= 500),
    }
