"""Moments relative to now."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone


def ago(**time: float) -> datetime:
    """Return the moment that long ago, such as `days=2`; in the future if negative."""
    return timezone.now() - timedelta(**time)
