"""The figures of an evaluation as text for a terminal, and as a self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from people.evaluation import plots
from people.evaluation.figures import Figures, IdentificationFigures, Rate, rate_text
from people.evaluation.folder import LISTED, FolderEvaluation

_MISSING = "–"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: its label, and the cells as text."""

    label: str
    value: str = ""
    interval: str = ""
    cosine: str = ""

    @classmethod
    def of(cls, label: str, rate: Rate) -> Row:
        value, interval, threshold = rate.value, rate.interval, rate.threshold
        return cls(
            label,
            _MISSING if value is None else f"{value * 100:.2f}%",
            "" if interval is None else f"{interval[0] * 100:.2f}–{interval[1] * 100:.2f}%",
            "" if threshold is None else f"{threshold:.4f}",
        )


HEAD = Row("", "value", "95% interval", "cosine")


def as_text(evaluated: FolderEvaluation) -> str:
    """Return the figures as text: photos left out or reused, a heading, aligned columns and notes."""
    context = _context(evaluated)
    rows = [HEAD, *context["rows"]]
    unreadable = evaluated.unreadable
    context |= {
        "rows": rows,
        "widths": {field.name: max(len(getattr(row, field.name)) for row in rows) for field in fields(Row)},
        "reused": evaluated.reused,
        "files": evaluated.evaluation.figures.photos + len(unreadable),
        "cache": evaluated.cache,
        "unreadable": len(unreadable),
        "listed": unreadable[:LISTED],
        "unlisted": len(unreadable) - LISTED,
    }
    text = render_to_string("people/evaluation/report.txt", context)
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def write_page(folder: Path, evaluated: FolderEvaluation) -> Path:
    """Write det.png, scores.png, and index.html, which contains both plots; return the path of the page."""
    plot_files = {
        "det.png": ("Detection error trade-off", plots.error_curves(evaluated.evaluation)),
        "scores.png": ("Scores of pairs of photos", plots.score_histogram(evaluated.evaluation)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, png) in plot_files.items():
        (folder / name).write_bytes(png)
    context = {
        **_context(evaluated),
        "engine": evaluated.engine,
        "command": evaluated.command,
        "plots": [
            {"title": title, "base64": base64.b64encode(png).decode()} for title, png in plot_files.values()
        ],
    }
    page = folder / "index.html"
    page.write_text(render_to_string("people/evaluation/report.html", context))
    return page


def _context(evaluated: FolderEvaluation) -> dict[str, Any]:
    """Return the template variables that the text and the page share."""
    figures = evaluated.evaluation.figures
    verification = figures.verification
    return {
        "heading": (
            f"Engine {evaluated.engine}: {figures.photos:,} photos of {figures.persons:,} people, "
            f"{verification.genuine_pairs:,} genuine and {verification.impostor_pairs:,} impostor pairs"
        ),
        "rows": list(_rows(figures)),
        "notes": figures.notes,
    }


def _rows(figures: Figures) -> Iterator[Row]:
    yield Row.of("Photos with a face", figures.detection_rate)
    yield Row.of("Photos refused (FTE, quality auto)", figures.fte)
    yield Row.of("  if one of several faces is chosen", figures.fte_with_face_chosen)
    for fmr, rate in figures.verification.tar_at_fmr.items():
        yield Row.of(f"TAR at FMR {rate_text(fmr)}", rate)
    for identification in (figures.identification, figures.comparison):
        if identification is not None:
            yield from _identification_rows(identification)


def _identification_rows(figures: IdentificationFigures) -> Iterator[Row]:
    photos = "photo" if figures.enrol == 1 else "photos"
    yield Row(
        f"{figures.enrol} {photos} each of {figures.enrolled:,} people enrolled; "
        f"{figures.probes:,} probes, {figures.strangers:,} strangers"
    )
    yield Row.of("  Rank 1", figures.rank1)
    for fpir, rate in figures.tpir_at_fpir.items():
        yield Row.of(f"  TPIR at FPIR {rate_text(fpir)}", rate)
