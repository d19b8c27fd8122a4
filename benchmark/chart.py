"""The benchmark's figures as one picture, for a page or a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, StrMethodFormatter

SUFFIXES = (".svg", ".png")
OURS, OTHERS, GREY = "#0b62a4", "#c2570c", "#555555"
NAMES = {"face_recognition": "face_recognition", "plain": "OpenCV's classes,\nthe same models"}
WIDTH = 9.4
"""Inches: on a page 900 pixels wide a point of text is more than one pixel."""
SALT = "facerec"
"""With it the same figures give the same bytes: a picture in git changes with its figures only."""


def check_path(path: Path) -> None:
    """Raise ValueError when no picture can be drawn into a file of this name."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} can't be drawn: name a file that ends in {' or '.join(SUFFIXES)}.")


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw what `manage.py benchmark` measured; a part that was not measured has no panel."""
    panels: list[tuple[Callable[[Axes, Any], None], Any]] = [
        (_photos, figures.get("photos")),
        (_faces, figures.get("faces")),
        (_searches, figures.get("search")),
        (_service, {**figures["http"], "worker": figures["worker"]} if figures.get("http") else None),
    ]
    drawn = [(panel, part) for panel, part in panels if part]
    lines = max((len(drawn) + 1) // 2, 1)
    figure = Figure(figsize=(WIDTH, 3.4 * lines), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    cores = ", ".join(str(core) for core in figures["cores"])
    which = f"core{'s' if len(figures['cores']) > 1 else ''} {cores}"
    figure.suptitle(
        f"{figures['engine']} on {which}; medians in milliseconds; made by manage.py benchmark", fontsize=10
    )
    for number, (panel, part) in enumerate(drawn, 1):
        axes = figure.add_subplot(lines, min(len(drawn), 2), number)
        panel(axes, part)
        axes.title.set_fontsize(11)
        axes.tick_params(labelsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def _photos(axes: Axes, photos: dict[str, Any]) -> None:
    axes.set_title("A photo with one face, from JPEG to probe")
    rows: list[tuple[float, str, float, str, str]] = []
    place = 0.0
    for size, one in photos.items():
        ours = one["engine"]["p50_ms"]
        rows.append((place, f"{size.replace('x', ' × ')}, ours", ours, OURS, f"{ours:.0f}"))
        for name, other in one["against"].items():
            place += 1
            times = f"{other['p50_ms']:,.0f}, {other['ratio']:.1f} times"
            rows.append((place, NAMES.get(name, name), other["p50_ms"], OTHERS, times))
        place += 1.5  # a gap: the bars of one photo stand together
    places, names, values, colours, notes = zip(*rows, strict=True)
    bars = axes.barh(places, values, color=colours)
    axes.bar_label(bars, notes, padding=3, fontsize=8)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 3, max(values) * 20)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("ms", fontsize=9)


def _faces(axes: Axes, faces: dict[str, Any]) -> None:
    axes.set_title("A photo with more and more faces")
    _curve(axes, [int(count) for count in faces], [one["p50_ms"] for one in faces.values()], "faces")
    axes.set_ylim(bottom=0)


def _searches(axes: Axes, searches: dict[str, Any]) -> None:
    axes.set_title("A search, exact")
    _curve(axes, [int(size) for size in searches], [one["p50_ms"] for one in searches.values()], "people")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _curve(axes: Axes, across: list[int], up: list[float], name: str) -> None:
    axes.plot(across, up, "o-", color=OURS)
    for number, (x, y) in enumerate(zip(across, up, strict=True)):
        offset, side = ((-3, 6), "right") if number else ((3, -12), "left")
        text = f"{y:.0f}" if y >= 10 else f"{y:.2g}"
        axes.annotate(text, (x, y), textcoords="offset points", xytext=offset, ha=side, fontsize=8)
    axes.set_xlabel(name, fontsize=9)
    axes.set_ylabel("ms", fontsize=9)
    axes.margins(x=0.12, y=0.18)
    axes.grid(alpha=0.3)


def _service(axes: Axes, http: dict[str, Any]) -> None:
    workers = "one worker" if http["workers"] == 1 else f"{http['workers']} workers"
    axes.set_title(f"Over HTTP, {http['people']:,} people, {workers}")
    engine, rest = http["engine_ms"], http["overhead_ms"]
    axes.barh(["alone"], [engine], color=OURS)
    bar = axes.barh(["alone"], [rest], left=engine, color=GREY)
    axes.bar_label(bar, [f"{engine:.1f} engine + {rest:.1f} all else"], padding=3, fontsize=8)
    rate = f"at {http['rate']:.0f}\na second"
    for name, value in (("median", http["p50_ms"]), ("p99", http["p99_ms"])):
        bar = axes.barh([f"{name}, {rate}"], [value], color=OURS)
        axes.bar_label(bar, [f"{value:.1f}"], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(0, max((engine + rest) * 1.8, http["p99_ms"] * 1.2))
    axes.set_xlabel(
        f"at most {http['requests_per_second']:.0f} requests a second; "
        f"{http['worker']['private_mb']:.0f} MB of a worker's own",
        fontsize=9,
    )
