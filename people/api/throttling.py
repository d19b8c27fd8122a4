"""Rate limits, reported in headers.

Each API key has its own; all staff have the same limit, counted per user.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from people.api.counters import OptionalCounter
from people.models import ApiKey

if TYPE_CHECKING:
    # REST framework's views load this module
    from rest_framework.views import APIView

SESSION_RATE = "600/min"
counter = OptionalCounter(import_string(settings.RATE_COUNTER["BACKEND"])(**settings.RATE_COUNTER["OPTIONS"]))
_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Window:
    """One fixed window of a limit: how many requests it allows and has counted, and when it ends."""

    limit: int
    used: int
    seconds_left: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(self.limit - self.used, 0)),
            "RateLimit-Reset": str(self.seconds_left),
        }


def count(name: str, rate: str) -> Window:
    """Count one request against `rate`, such as 600/min, and return the window it falls into."""
    limit, _, unit = rate.partition("/")
    length = _SECONDS[unit]
    number, seconds = divmod(int(time.time()), length)
    used = counter.add(f"rate:{name}:{unit}:{number}", length + 1)
    return Window(int(limit), used, length - seconds)


class KeyRateThrottle(BaseThrottle):
    """Limit each API key to its own rate, and each member of staff to SESSION_RATE."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.user is None:  # the OpenAPI document, which is public
            return True
        key = request.auth
        if isinstance(key, ApiKey):
            self.window = count(f"key:{key.prefix}", key.rate)
        else:
            self.window = count(f"user:{request.user.pk}", SESSION_RATE)
        holder: Any = request._request
        holder.rate_window = self.window
        return self.window.used <= self.window.limit

    def wait(self) -> float:
        return float(self.window.seconds_left)
