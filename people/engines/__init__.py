"""Face engines: which one is configured, built once per process on first use.

Importing this package imports no computing library; building an engine does.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from people.engines.base import FaceEngine

ONNX_ENGINE = "people.engines.onnx.OnnxEngine"
NAMED_ENGINES = {"onnx": ONNX_ENGINE, "dlib": "people.engines.dlib.DlibEngine"}
"""Short names, as commands take them."""

_lock = Lock()
_engines: dict[str, FaceEngine] = {}


def get_engine() -> FaceEngine:
    """Return this process's engine, as `settings.FACE_ENGINE` says; the models load on the first call.

    Raises ModelMissing if a model file isn't there.
    """
    return engine_named(settings.FACE_ENGINE["BACKEND"])


def engine_named(backend: str) -> FaceEngine:
    """Return this process's engine of this backend, with the settings' options if they are for it."""
    configured: Mapping[str, Any] = settings.FACE_ENGINE
    path = backend_path(backend)
    options = configured.get("OPTIONS", {}) if path == backend_path(configured["BACKEND"]) else {}
    with _lock:
        if path not in _engines:
            _engines[path] = build_engine(path, **options)
        return _engines[path]


def build_engine(backend: str, **options: Any) -> FaceEngine:
    """Return a new engine. `backend` is a short name ("onnx", "dlib") or a dotted path.

    Its compute threads are `settings.FACEREC_THREADS` unless `options` has `threads`.
    """
    engine: FaceEngine = import_string(backend_path(backend))(
        **{"threads": settings.FACEREC_THREADS, **options}
    )
    return engine


def backend_path(backend: str) -> str:
    """Return the dotted path that `backend`, a short name or already a path, stands for."""
    return NAMED_ENGINES.get(backend, backend)


def engine_id(engine: FaceEngine) -> str:
    """Return what templates and thresholds are filed under, such as "yunet-sface/1"."""
    return f"{engine.name}/{engine.version}"


def _forget_engine(*, setting: str, **kwargs: Any) -> None:
    if setting in {"FACE_ENGINE", "FACEREC_THREADS", "FACEREC_MODELS_DIR"}:
        with _lock:
            _engines.clear()


setting_changed.connect(_forget_engine, dispatch_uid="people.engines")
