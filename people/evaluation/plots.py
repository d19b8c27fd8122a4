"""The plots of an evaluation: error curves, and the distributions of comparison scores."""

from __future__ import annotations

import io

import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from people.evaluation.figures import Evaluation, rate_text
from people.evaluation.outcomes import Floats

_BLUE, _ORANGE, _GREY = "#0b62a4", "#c2570c", "#555555"


def error_curves(evaluation: Evaluation) -> bytes:
    """Plot FNMR against FMR, and FNIR against FPIR, on logarithmic axes; return a PNG."""
    plot = Figure(figsize=(11, 5), layout="constrained")
    left, right = plot.subplots(1, 2)
    _curve(left, *evaluation.pairs.det(), ("Verification", "false match rate", "false non-match rate"))
    if evaluation.searches is None:
        right.set_axis_off()
    else:
        labels = (
            "Identification",
            "FPIR: searches for strangers that return a match",
            "FNIR: searches for enrolled people that don't return them first",
        )
        _curve(right, *evaluation.searches.det(), labels)
    return _png(plot)


def score_histogram(evaluation: Evaluation) -> bytes:
    """Plot a histogram of the scores of genuine and impostor pairs, with the thresholds; return a PNG.

    Counts are logarithmic, because the few impostor pairs with the highest scores matter most.
    """
    pairs = evaluation.pairs
    plot = Figure(figsize=(9, 5), layout="constrained")
    axes = plot.subplots()
    edges = np.linspace(-1, 1, 201)
    impostor = pairs.impostor.reshape(200, -1).sum(axis=1)
    genuine, _ = np.histogram(pairs.genuine, edges)
    for counts, name, colour in (
        (impostor, "different people", _ORANGE),
        (genuine, "the same person", _BLUE),
    ):
        if counts.sum():
            heights = np.maximum(counts, 0.5)  # a logarithmic axis can't show 0
            label = f"{name} ({counts.sum():,})"
            axes.stairs(heights, edges, baseline=0.5, fill=True, alpha=0.5, color=colour, label=label)
    for fmr, rate in evaluation.figures.verification.tar_at_fmr.items():
        if rate.threshold is not None:
            axes.axvline(rate.threshold, color=_GREY, linestyle="--", linewidth=1)
            axes.text(
                rate.threshold, 0.99, f"FMR {rate_text(fmr)} ", rotation=90, ha="right", va="top", fontsize=8,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    nonempty_bins = np.flatnonzero(impostor + genuine)
    if len(nonempty_bins):
        axes.set_xlim(edges[nonempty_bins[0]] - 0.05, min(edges[nonempty_bins[-1] + 1] + 0.05, 1.02))
        axes.legend()
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.set_title("Scores of pairs of photos")
    axes.set_xlabel("cosine (no unit)")
    axes.set_ylabel("pairs per 0.01 of cosine")
    return _png(plot)


def _curve(
    axes: Axes, false_positives: Floats, false_negatives: Floats, labels: tuple[str, str, str]
) -> None:
    title, x_label, y_label = labels
    positive = (false_positives > 0) & (false_negatives > 0)  # a logarithmic axis can't show 0
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if not positive.any():
        axes.text(0.5, 0.5, "no errors to draw", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    axes.plot(false_positives[positive], false_negatives[positive], color=_BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    percent = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value * 100:g}%")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(percent)
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter(percent)
    axes.grid(which="both", alpha=0.3)


def _png(plot: Figure) -> bytes:
    FigureCanvasAgg(plot)  # draws without a display
    buffer = io.BytesIO()
    plot.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
