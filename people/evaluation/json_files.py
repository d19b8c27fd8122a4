"""The JSON files that an evaluation writes: its figures, and the calibration of the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from people.errors import EvaluationFailed
from people.evaluation.figures import Figures, IdentificationFigures, Rate, VerificationFigures
from people.evaluation.folder import FolderEvaluation
from people.evaluation.scores import LEAST_ABOVE, calibration_points


def write_figures(path: Path, evaluated: FolderEvaluation) -> None:
    """Write all figures. `intervals` has the same structure as the rates, with the interval of each rate."""
    content = {
        "engine": evaluated.engine,
        "command": evaluated.command,
        **_figures(evaluated.evaluation.figures),
        "unreadable": {"count": len(evaluated.unreadable), "photos": evaluated.unreadable},
    }
    _write(path, content)


def write_calibration(path: Path, evaluated: FolderEvaluation) -> None:
    """Write the file that `engines.calibrations` reads: the thresholds, as cosines, at several FMRs.

    Raises EvaluationFailed if too few pairs were compared.
    """
    figures, pairs = evaluated.evaluation.figures, evaluated.evaluation.pairs
    points = calibration_points(pairs)
    if len(points) < 2:
        raise EvaluationFailed(
            f"{pairs.impostor_pairs} pairs of different people are too few for a calibration: FMR 0.01 "
            f"needs {LEAST_ABOVE} of them above its threshold. Pass a folder with at least 50 people."
        )
    content = {
        "engine": evaluated.engine,
        "points": [{"fmr": fmr, "cosine": round(cosine, 5)} for fmr, cosine in points],
        "measured_on": {
            "photos": figures.photos,
            "persons": figures.persons,
            "impostor_pairs": pairs.impostor_pairs,
            "command": evaluated.command,
        },
    }
    _write(path, content)


def _figures(figures: Figures) -> dict[str, Any]:
    photo_rates = {
        "detection_rate": figures.detection_rate,
        "fte": figures.fte,
        "fte_with_face_chosen": figures.fte_with_face_chosen,
    }
    intervals: dict[str, Any] = {name: rate.interval for name, rate in photo_rates.items()}
    content: dict[str, Any] = {
        "photos": figures.photos,
        "persons": figures.persons,
        **{name: rate.value for name, rate in photo_rates.items()},
    }
    content["verification"], intervals["verification"] = _verification(figures.verification)
    content["identification"], intervals["identification"] = _identification(figures.identification)
    content |= {"intervals": intervals, "notes": figures.notes}
    if figures.comparison is not None:
        content["comparison"], intervals["comparison"] = _identification(figures.comparison)
    return content


def _verification(figures: VerificationFigures) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures and their intervals."""
    content = {
        "genuine_pairs": figures.genuine_pairs,
        "impostor_pairs": figures.impostor_pairs,
        "tar_at_fmr": _by_key(figures.tar_at_fmr, "value"),
        "threshold_at_fmr": _by_key(figures.tar_at_fmr, "threshold"),
    }
    return content, {"tar_at_fmr": _by_key(figures.tar_at_fmr, "interval")}


def _identification(
    figures: IdentificationFigures | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the figures and their intervals."""
    if figures is None:
        return None, None
    content = {
        "enrol": figures.enrol,
        "enrolled": figures.enrolled,
        "probes": figures.probes,
        "strangers": figures.strangers,
        "rank1": figures.rank1.value,
        "tpir_at_fpir": _by_key(figures.tpir_at_fpir, "value"),
        "threshold_at_fpir": _by_key(figures.tpir_at_fpir, "threshold"),
    }
    intervals = {
        "rank1": figures.rank1.interval,
        "tpir_at_fpir": _by_key(figures.tpir_at_fpir, "interval"),
    }
    return content, intervals


def _by_key(rates: Mapping[float, Rate], attribute: str) -> dict[str, Any]:
    return {rate_key(error_rate): getattr(rate, attribute) for error_rate, rate in rates.items()}


def rate_key(rate: float) -> str:
    """Return a rate as text without an exponent: "0.00001"."""
    return f"{rate:.10f}".rstrip("0")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
