"""What the acts count, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

FACES_SEARCHED = Counter("facerec_faces_searched_total", "Faces searched, by decision.", ["decision"])
DEGRADED = Counter("facerec_degraded_searches_total", "Searches answered without the remote index.")
