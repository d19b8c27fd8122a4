"""Draws the results as one picture, for a page or a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, StrMethodFormatter

from benchmark.results import HttpResult, PhotoResult, Results, Timing

SUFFIXES = (".svg", ".png")
BLUE, ORANGE, GREY = "#0b62a4", "#c2570c", "#555555"
LABELS = {"plain": "OpenCV's classes,\nthe same models"}
"""Labels of baselines whose name isn't clear enough."""
WIDTH = 9.4
"""Inches. On a page that is 900 pixels wide, a point of text is then larger than a pixel."""
SALT = "facerec"
"""Makes ids in an SVG reproducible: the same results give the same bytes, so git only shows real changes."""

Panel = Callable[[Axes], None]
"""Draws one diagram."""


def draw(results: Results, path: Path) -> None:
    """Draw the results, one panel for each part that was measured, into an .svg or .png file."""
    panels = list(_panels(results))
    rows = max((len(panels) + 1) // 2, 1)
    figure = Figure(figsize=(WIDTH, 3.4 * rows), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(_title(results), fontsize=10)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, min(len(panels), 2), number)
        panel(axes)
        axes.title.set_fontsize(11)
        axes.tick_params(labelsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panels(results: Results) -> Iterator[Panel]:
    if results.photos:
        yield partial(_photos, photos=results.photos)
    if results.faces:
        yield partial(_groups, groups=results.faces)
    if results.search:
        yield partial(_searches, searches=results.search)
    if results.http:
        yield partial(_service, http=results.http)


def _title(results: Results) -> str:
    cores = f"core{'s' if len(results.cores) > 1 else ''} {', '.join(map(str, results.cores))}"
    return f"{results.engine} on {cores}; medians in milliseconds; made by manage.py benchmark"


@dataclass(frozen=True, slots=True)
class _Bar:
    position: float
    label: str
    milliseconds: float
    colour: str
    note: str


def _photos(axes: Axes, photos: Mapping[str, PhotoResult]) -> None:
    axes.set_title("A photo with one face, from JPEG to probe")
    bars = list(_photo_bars(photos))
    positions, milliseconds = [bar.position for bar in bars], [bar.milliseconds for bar in bars]
    container = axes.barh(positions, milliseconds, color=[bar.colour for bar in bars])
    axes.bar_label(container, [bar.note for bar in bars], padding=3, fontsize=8)
    axes.set_yticks(positions, [bar.label for bar in bars])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(milliseconds) / 3, max(milliseconds) * 20)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("ms", fontsize=9)


def _photo_bars(photos: Mapping[str, PhotoResult]) -> Iterator[_Bar]:
    position = 0.0
    for size, photo in photos.items():
        engine = photo.engine.p50_ms
        yield _Bar(position, f"{size.replace('x', ' × ')}, ours", engine, BLUE, f"{engine:.0f}")
        for name, baseline in photo.against.items():
            position += 1
            note = f"{baseline.p50_ms:,.0f}, {baseline.ratio:.1f} times"
            yield _Bar(position, LABELS.get(name, name), baseline.p50_ms, ORANGE, note)
        position += 1.5  # a gap, so that the bars of one photo form a group


def _groups(axes: Axes, groups: Mapping[str, Timing]) -> None:
    axes.set_title("A photo with more and more faces")
    _curve(axes, groups, "faces")
    axes.set_ylim(bottom=0)


def _searches(axes: Axes, searches: Mapping[str, Timing]) -> None:
    axes.set_title("A search, exact")
    _curve(axes, searches, "people")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _curve(axes: Axes, timings: Mapping[str, Timing], x_label: str) -> None:
    xs: Sequence[int] = [int(count) for count in timings]
    ys = [timing.p50_ms for timing in timings.values()]
    axes.plot(xs, ys, "o-", color=BLUE)
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        offset, side = ((-3, 6), "right") if number else ((3, -12), "left")
        text = f"{y:.0f}" if y >= 10 else f"{y:.2g}"
        axes.annotate(text, (x, y), textcoords="offset points", xytext=offset, ha=side, fontsize=8)
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel("ms", fontsize=9)
    axes.margins(x=0.12, y=0.18)
    axes.grid(alpha=0.3)


def _service(axes: Axes, http: HttpResult) -> None:
    workers = "one worker" if http.workers == 1 else f"{http.workers} workers"
    axes.set_title(f"Over HTTP, {http.people:,} people, {workers}")
    engine, overhead = http.engine_ms, http.overhead_ms
    axes.barh(["alone"], [engine], color=BLUE)
    bar = axes.barh(["alone"], [overhead], left=engine, color=GREY)
    axes.bar_label(bar, [f"{engine:.1f} engine + {overhead:.1f} all else"], padding=3, fontsize=8)
    for percentile, milliseconds in (("median", http.steady.p50_ms), ("p99", http.steady.p99_ms)):
        bar = axes.barh([f"{percentile}, at {http.rate:.0f}\na second"], [milliseconds], color=BLUE)
        axes.bar_label(bar, [f"{milliseconds:.1f}"], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(0, max((engine + overhead) * 1.8, http.steady.p99_ms * 1.2))
    axes.set_xlabel(
        f"at most {http.full.per_second:.0f} requests a second; "
        f"{http.worker.private_mb:.0f} MB of a worker's own",
        fontsize=9,
    )
