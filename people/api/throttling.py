"""Rate limits: each key its own, sessions and failed logins a common one; told in headers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from people.models import ApiKey

if TYPE_CHECKING:
    # REST framework's views load this module
    from rest_framework.views import APIView

SESSION_RATE = "600/min"
logger = logging.getLogger(__name__)
_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Window:
    """One fixed window of a limit: how many requests it allows and had, and when it ends."""

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
    """Count one request against `rate`, as 600/min, and return the window it falls into."""
    limit, _, unit = rate.partition("/")
    length = _SECONDS[unit]
    number, seconds = divmod(int(time.time()), length)
    key = f"rate:{name}:{unit}:{number}"
    try:
        used = _counted(key, length + 1)
    except Exception as error:
        # whatever the cache's library raises: without it there is no limit, but there are answers
        logger.warning("Requests can't be counted now: %s", type(error).__name__)
        used = 1
    return Window(int(limit), used, length - seconds)


def _counted(key: str, seconds: int) -> int:
    try:
        return int(cache.incr(key))
    except ValueError:  # the window's first
        return 1 if cache.add(key, 1, timeout=seconds) else int(cache.incr(key))


class KeyRateThrottle(BaseThrottle):
    """Let each key make as many requests as its rate says."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.user is None:  # the API's description, which everybody may read
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
