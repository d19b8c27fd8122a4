"""The catalogue of model files and sample photos, and the paths of the model files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks

from people.engines import ONNX_ENGINE, backend_path
from people.engines.fetching import Entry, read_catalogue
from people.errors import ModelMissing

CATALOGUE = Path(__file__).with_name("models.toml")
DETECTOR = "yunet"
RECOGNISER = "sface"


@cache
def entries(part: str) -> Mapping[str, Entry]:
    """Return the entries by name, in the catalogue's order. `part` is "models" or "samples"."""
    return read_catalogue(CATALOGUE, part)


def model_path(name: str) -> Path:
    """Return the path of the model `name`. Raises ModelMissing if the file doesn't exist."""
    path = Path(settings.FACEREC_MODELS_DIR) / entries("models")[name].file
    if not path.is_file():
        raise ModelMissing(f"The model {name} is missing at {path}. Run `manage.py fetch_models`.")
    return path


def check_models(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """System check: each model file of the configured engine exists and has the right size.

    Only sizes are compared, so that processes start quickly; `manage.py fetch_models` compares the hashes.
    """
    configured: Mapping[str, Any] = settings.FACE_ENGINE
    options = configured.get("OPTIONS", {})
    if backend_path(configured["BACKEND"]) != ONNX_ENGINE:
        return []
    errors: list[checks.CheckMessage] = []
    for model in (options.get("detector", DETECTOR), options.get("recogniser", RECOGNISER)):
        if isinstance(model, Mapping):
            path, size = Path(model["path"]), None
        else:
            entry = entries("models")[model]
            path, size = Path(settings.FACEREC_MODELS_DIR) / entry.file, entry.size
        if not path.is_file():
            problem = f"The model file {path} is missing."
        elif size is not None and path.stat().st_size != size:
            problem = f"The model file {path} is not {size} bytes long."
        else:
            continue
        errors.append(checks.Error(problem, hint="Run `manage.py fetch_models`.", id="people.E001"))
    return errors
