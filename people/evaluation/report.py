"""The figures of an evaluation as a table, as plots, and as one page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.ticker
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from people.evaluation.scores import Evaluation, Floats, PairScores, Searches

_MISSING = "–"
_BLUE, _ORANGE, _GREY = "#0b62a4", "#c2570c", "#555555"

Row = tuple[str, str, str, str]
"""What was measured; its value; its 95 % interval; the cosine it was measured at."""
HEAD: Row = ("", "value", "95 % interval", "cosine")


def table(figures: dict[str, Any]) -> str:
    """Return the figures as text: a heading, aligned columns, and notes."""
    rows = [HEAD, *_rows(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [heading(figures)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[c].rjust(widths[c]) for c in range(1, len(row)))]
        lines.append("  ".join(cells).rstrip())
    lines.extend(f"Note: {note}" for note in figures["notes"])
    return "\n".join(lines)


def heading(figures: dict[str, Any]) -> str:
    """Return what was measured on what, in one line."""
    return (
        f"Engine {figures['engine']}: {figures['photos']:,} photos of {figures['persons']:,} people, "
        f"{figures['verification']['genuine_pairs']:,} genuine and "
        f"{figures['verification']['impostor_pairs']:,} impostor pairs"
    )


def write(folder: Path, figures: dict[str, Any], measured: Evaluation) -> Path:
    """Write det.png, scores.png and index.html, which holds both; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = {
        "det.png": ("Detection error trade-off", _det(measured)),
        "scores.png": ("Scores of pairs of photos", _scores(figures, measured.pairs)),
    }
    for name, (_, figure) in plots.items():
        FigureCanvasAgg(figure)
        figure.savefig(folder / name, dpi=120)
    images = {name: base64.b64encode((folder / name).read_bytes()).decode() for name in plots}
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in _rows(figures)
    )
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in HEAD)
    notes = "".join(f"<p>{escape(note)}</p>" for note in figures["notes"])
    shown = "".join(
        f'<h2>{escape(title)}</h2>\n<img alt="{escape(title)}" src="data:image/png;base64,{images[name]}">\n'
        for name, (title, _) in plots.items()
    )
    page = folder / "index.html"
    page.write_text(
        f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Evaluation of {escape(figures["engine"])}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .2rem .8rem; border-bottom: 1px solid #ccc; text-align: right }}
th:first-child {{ text-align: left; font-weight: normal }}
img {{ max-width: 100%; height: auto }}
</style>
<h1>Evaluation of {escape(figures["engine"])}</h1>
<p>{escape(heading(figures))}. Made by <code>{escape(figures["command"])}</code>.</p>
<table><thead><tr>{head}</tr></thead>
<tbody>
{rows}</tbody></table>
{notes}{shown}</html>
"""
    )
    return page


def _rows(figures: dict[str, Any]) -> list[Row]:
    intervals = figures["intervals"]
    rows = [
        _row("Photos with a face", figures["detection_rate"], intervals["detection_rate"]),
        _row("Photos refused (FTE, quality auto)", figures["fte"], intervals["fte"]),
        _row(
            "  if told which of several faces is meant",
            figures["fte_with_face_chosen"],
            intervals["fte_with_face_chosen"],
        ),
    ]
    verification = figures["verification"]
    for rate, tar in verification["tar_at_fmr"].items():
        interval = intervals["verification"]["tar_at_fmr"][rate]
        rows.append(_row(f"TAR at FMR {_rate(rate)}", tar, interval, verification["threshold_at_fmr"][rate]))
    for part in ("identification", "comparison"):
        found = figures.get(part)
        if found is None:
            continue
        photos = "photo" if found["enrol"] == 1 else "photos"
        rows.append(
            (
                f"{found['enrol']} {photos} each of {found['enrolled']:,} people enrolled; "
                f"{found['probes']:,} probes, {found['strangers']:,} strangers",
                "", "", "",
            )
        )  # fmt: skip
        rows.append(_row("  Rank 1", found["rank1"], intervals[part]["rank1"]))
        for rate, tpir in found["tpir_at_fpir"].items():
            interval = intervals[part]["tpir_at_fpir"][rate]
            rows.append(
                _row(f"  TPIR at FPIR {_rate(rate)}", tpir, interval, found["threshold_at_fpir"][rate])
            )
    return rows


def _row(
    name: str, value: float | None, interval: Sequence[float] | None, cosine: float | None = None
) -> Row:
    return (
        name,
        _MISSING if value is None else f"{value * 100:.2f} %",
        "" if interval is None else f"{interval[0] * 100:.2f}–{interval[1] * 100:.2f} %",
        "" if cosine is None else f"{cosine:.4f}",
    )


def _rate(text: str) -> str:
    """Return a rate as people write it: 10 %, 1 %, and below that 1e-3."""
    rate = float(text)
    return f"{rate * 100:g} %" if rate >= 0.01 else f"1e{round(np.log10(rate))}"


def _det(measured: Evaluation) -> Figure:
    """Draw errors against false alarms on logarithmic axes, of pairs and of searches."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _curve(left, *measured.pairs.det(), ("Verification", "false match rate", "false non-match rate"))
    if measured.searches is not None:
        _search_curve(right, measured.searches)
    else:
        right.set_axis_off()
    return figure


def _search_curve(axes: Any, searches: Searches) -> None:
    names = (
        "Identification",
        "FPIR: strangers who find somebody",
        "FNIR: known probes not found at rank 1",
    )
    _curve(axes, *searches.det(), names)


def _curve(axes: Any, alarms: Floats, misses: Floats, names: tuple[str, str, str]) -> None:
    title, across, up = names
    drawn = (alarms > 0) & (misses > 0)
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if not drawn.any():
        axes.text(0.5, 0.5, "no errors to draw", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    axes.plot(alarms[drawn], misses[drawn], color=_BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    percent = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value * 100:g} %")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(percent)
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter(percent)
    axes.grid(which="both", alpha=0.3)


def _scores(figures: dict[str, Any], pairs: PairScores) -> Figure:
    """Draw how many genuine and impostor pairs have each score, with the thresholds by FMR.

    Counts are logarithmic: what matters is where the few highest impostors lie.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(-1, 1, 201)
    impostor = pairs.impostor.reshape(200, -1).sum(axis=1)
    genuine, _ = np.histogram(pairs.genuine, edges)
    for counts, name, colour in (
        (impostor, "different people", _ORANGE),
        (genuine, "the same person", _BLUE),
    ):
        if counts.sum():
            drawn = np.maximum(counts, 0.5)  # a logarithmic axis has no place for 0
            label = f"{name} ({counts.sum():,})"
            axes.stairs(drawn, edges, baseline=0.5, fill=True, alpha=0.5, color=colour, label=label)
    for rate, threshold in figures["verification"]["threshold_at_fmr"].items():
        if threshold is not None:
            axes.axvline(threshold, color=_GREY, linestyle="--", linewidth=1)
            axes.text(
                threshold, 0.99, f"FMR {_rate(rate)} ", rotation=90, ha="right", va="top", fontsize=8,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    filled = np.flatnonzero(impostor + genuine)
    if len(filled):
        axes.set_xlim(edges[filled[0]] - 0.05, min(edges[filled[-1] + 1] + 0.05, 1.02))
        axes.legend()
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.set_title("Scores of pairs of photos")
    axes.set_xlabel("cosine (no unit)")
    axes.set_ylabel("pairs per 0.01 of cosine")
    return figure
