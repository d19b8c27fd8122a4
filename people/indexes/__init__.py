"""Template indexes, chosen by settings.TEMPLATE_INDEX (BACKEND and OPTIONS)."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from people.indexes.base import RemoteIndex, TemplateIndex

_lock = Lock()


def get_index() -> TemplateIndex:
    """Return this process's index, built on first use."""
    with _lock:
        return _build()


def remote_index() -> RemoteIndex | None:
    """Return the index if it is remote; None if it is in memory and reads the database itself."""
    index = get_index()
    return index if isinstance(index, RemoteIndex) else None


@lru_cache(maxsize=1)
def _build() -> TemplateIndex:
    index: TemplateIndex = import_string(settings.TEMPLATE_INDEX["BACKEND"])(
        **settings.TEMPLATE_INDEX["OPTIONS"]
    )
    return index


@receiver(setting_changed)
def forget_index(*, setting: str = "TEMPLATE_INDEX", **kwargs: Any) -> None:
    """Rebuild the index on its next use."""
    if setting == "TEMPLATE_INDEX":
        _build.cache_clear()
