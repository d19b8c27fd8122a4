"""The measured calibration of an engine: a data file that `manage.py evaluate` writes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from people.decision import Calibration

FOLDER = Path(__file__).parent / "calibration"


@cache
def measured_calibration(engine: str) -> Calibration:
    """Return the calibration of the engine with this id, such as `yunet-sface/1`.

    Raises ImproperlyConfigured if it has none; the message names the command that measures one.
    """
    name = f"{engine.replace('/', '-')}.json"
    for folder in (settings.FACEREC_MODELS_DIR, FOLDER):  # the first has those of the operator's own models
        if (folder / name).exists():
            return Calibration.from_file(folder / name)
    raise ImproperlyConfigured(
        f"Engine {engine} has no calibration. Make one with `manage.py evaluate FOLDER --calibration "
        f"{name}` and put it next to the models."
    )
