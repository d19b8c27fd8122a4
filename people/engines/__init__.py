"""Face engines: each is built once per process, on first use.

Importing this package doesn't import the libraries that compute; building an engine does.
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
"""Dotted paths by short name. Commands and settings accept both."""

_lock = Lock()
_engines: dict[str, FaceEngine] = {}


def get_engine() -> FaceEngine:
    """Return this process's engine for `settings.FACE_ENGINE`. The first call loads the models.

    Raises ModelMissing if a model file is missing.
    """
    return engine_named(settings.FACE_ENGINE["BACKEND"])


def engine_named(backend: str) -> FaceEngine:
    """Return this process's engine of this backend, with FACE_ENGINE's options if they are for it."""
    configured: Mapping[str, Any] = settings.FACE_ENGINE
    path = backend_path(backend)
    options = configured.get("OPTIONS", {}) if path == backend_path(configured["BACKEND"]) else {}
    with _lock:
        if path not in _engines:
            _engines[path] = build_engine(path, **options)
        return _engines[path]


def build_engine(backend: str, **options: Any) -> FaceEngine:
    """Return a new engine. `backend` is a short name ("onnx", "dlib") or a dotted path.

    It computes with `settings.FACEREC_THREADS` threads, unless `options` contains `threads`.
    """
    engine: FaceEngine = import_string(backend_path(backend))(
        **{"threads": settings.FACEREC_THREADS, **options}
    )
    return engine


def backend_path(backend: str) -> str:
    """Return the dotted path of `backend`, which is a short name or already a path."""
    return NAMED_ENGINES.get(backend, backend)


def engine_id(engine: FaceEngine) -> str:
    """Return the id under which templates and calibrations are stored, such as "yunet-sface/1"."""
    return f"{engine.name}/{engine.version}"


def _forget_engine(*, setting: str, **kwargs: Any) -> None:
    if setting in {"FACE_ENGINE", "FACEREC_THREADS", "FACEREC_MODELS_DIR"}:
        with _lock:
            _engines.clear()


setting_changed.connect(_forget_engine, dispatch_uid="people.engines")
