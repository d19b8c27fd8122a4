"""How fast this installation's engine, searches and service are, on one core or several."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from benchmark import chart, searches, service, stages, synthetic
from benchmark.timing import Times
from people.engines import engine_id, get_engine
from people.engines.base import FaceEngine
from people.indexes import get_index

PHOTOS = "480x720,1080x1620,3024x4032"
SEARCHES = "1000,10000,100000"
FACES = "1,2,5,10,20,30"
SENT = (480, 720)
"""The photo that is sent over HTTP."""


class Command(BaseCommand):
    help = (
        "Time the engine's stages on photos of several sizes, searches among synthetic templates, and the "
        "service over HTTP; with --against, others beside it: ratios of one run hold where milliseconds "
        "don't."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--photos", default=PHOTOS, metavar="WxH,…", help=f"sizes ({PHOTOS})")
        parser.add_argument("--faces", default=FACES, metavar="N,…", help=f"faces in one photo ({FACES})")
        parser.add_argument("--search", default=SEARCHES, metavar="N,…", help=f"collections ({SEARCHES})")
        parser.add_argument(
            "--against", action="append", default=[], choices=tuple(stages.OTHERS), metavar="NAME",
            help=f"beside ours in the same run: {', '.join(stages.OTHERS)}; may be repeated",
        )  # fmt: skip
        parser.add_argument("--rounds", type=int, default=50, help="of each photo and each search (50)")
        parser.add_argument("--cores", default="", metavar="N,…", help="run on these cores only, as 0 or 0,1")
        parser.add_argument(
            "--http", type=int, metavar="N", help="run gunicorn with a scratch database of N people, too"
        )
        parser.add_argument("--workers", type=int, default=1, help="of gunicorn (1)")
        parser.add_argument("--seconds", type=float, default=20, help="at 70 %% of gunicorn's capacity (20)")
        parser.add_argument(
            "--database", default="", metavar="URL", help="an empty postgres://… for --http instead of SQLite"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
        parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the figures as FILE.svg or .png")
        parser.add_argument(
            "--fill", type=int, metavar="N",
            help="only enrol N people who don't exist in this empty installation, and read them",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("rounds", "workers", "seconds", "http", "fill"):
            if options[name] is not None and options[name] < 1:
                raise CommandError(f"--{name} must be 1 or more.")
        try:
            cores = sorted({_count(one, least=0) for one in _listed(options["cores"])})
            if options["fill"] is not None:
                with _on(cores):
                    self._fill(options["fill"])
            else:
                self._measure(options, cores)
        except (FileNotFoundError, RuntimeError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _fill(self, people: int) -> None:
        self.stdout.write(f"{service.KEY_LINE}{synthetic.enrol(people)}")
        times = Times()
        times.of(get_index().load, engine_id(get_engine()))
        self.stdout.write(f"{service.LOADED_LINE}{times.seconds[0]:.3f}")

    def _measure(self, options: dict[str, Any], cores: Sequence[int]) -> None:
        if options["chart"]:
            chart.check_path(options["chart"])
        sizes = [_size(one) for one in _listed(options["photos"])]
        faces = [_count(one, synthetic.MOST_FACES) for one in _listed(options["faces"])]
        collections = [_count(one) for one in _listed(options["search"])]
        rounds = options["rounds"]
        with _on(cores) as own:
            engine, threads = get_engine(), settings.FACEREC_THREADS
            figures: dict[str, Any] = {"engine": engine_id(engine), "cores": own, "rounds": rounds}
            self.stdout.write(f"Engine {figures['engine']} on cores {own}; milliseconds")
            self.stdout.write(f"{'':32}{'p50':>10}{'p95':>10}{'p99':>10}{'a second':>10}")
            figures["photos"] = self._photos(sizes, engine, options["against"], rounds)
            figures["faces"] = self._faces(faces, engine, rounds)
            figures["search"] = {}
            for count in collections:
                one = searches.search(count, engine.dimension, rounds, threads=threads)
                figures["search"][str(count)] = one
                self._row(f"search among {count:,}", one, f"right {one['right']:.1%}")
        if options["http"]:
            figures |= self._served(options, engine, own)
        if path := options["json"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(figures, indent=1) + "\n")
            self.stdout.write(f"Figures: {path}")
        if path := options["chart"]:
            chart.draw(figures, path)
            self.stdout.write(f"Chart: {path}")

    def _photos(
        self, sizes: Sequence[tuple[int, int]], engine: FaceEngine, against: Sequence[str], rounds: int
    ) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        if not sizes:
            return figures
        measured = stages.Stages(engine)
        for width, height in sizes:
            data = synthetic.portrait(width, height)
            figures[f"{width}x{height}"] = one = stages.photo(data, measured, against, rounds)
            self._row(f"photo {width}x{height}, {one['faces']} face(s)", one["engine"])
            for stage, times in one["stages"].items():
                self._row(f"    {stage}", times)
            for other, times in one["against"].items():
                self._row(f"    {other}", times, f"{times['ratio']:.1f} times ours")
        return figures

    def _faces(self, counts: Sequence[int], engine: FaceEngine, rounds: int) -> dict[str, Any]:
        figures = {}
        for count in counts:
            figures[str(count)] = one = stages.group(count, engine, rounds)
            self._row(f"{count} face(s), {one['faces']} found", one, f"{one['p50_ms'] / count:.1f} a face")
        return figures

    def _served(self, options: dict[str, Any], engine: FaceEngine, cores: Sequence[int]) -> dict[str, Any]:
        data = synthetic.portrait(*SENT)
        setting = service.Setting(
            people=options["http"], workers=options["workers"], cores=cores, seconds=options["seconds"],
            database=options["database"],
        )  # fmt: skip
        measured = service.measure(setting, data, self.stdout.write)
        figures, worker = measured["http"], measured["worker"]
        with _on(cores):
            engine_ms = stages.alone(data, engine, options["rounds"])["p50_ms"]
        alone = figures["alone"]["p50_ms"]
        figures["engine_ms"], figures["overhead_ms"] = engine_ms, alone - engine_ms
        full = figures["overload"]
        self.stdout.write(
            f"over HTTP, {setting.people:,} people, {setting.workers} worker(s), ready after "
            f"{figures['ready_s']:.1f} s, of which reading templates {figures['load_s']:.2f}"
        )
        for name, times, rate, note in (
            ("alone", figures["alone"], None, f"{figures['overhead_ms']:.1f} not the engine"),
            ("at its limit", figures["full"], figures["requests_per_second"], ""),
            (f"{setting.seconds:.0f} s at 70 %", figures, figures["rate"], f"{figures['refused']} refused"),
            (f"{full['clients']} clients at once", full, full["requests_per_second"], full["statuses"]),
        ):
            self._row(f"    {name}", times, note, rate)
        self.stdout.write(
            f"memory: {worker['private_mb']:.0f} MB of a worker's own, {worker['rss_mb']:.0f} with what it "
            f"shares; {worker['growth']:+.1%} in the {setting.seconds:.0f} s"
        )
        return measured

    def _row(self, name: str, times: dict[str, Any], note: object = "", rate: float | None = None) -> None:
        """Print a row of the table; without `rate`, what was done one after another tells it itself."""
        columns = [times[key] for key in ("p50_ms", "p95_ms", "p99_ms")]
        columns.append(times["per_second"] if rate is None else rate)
        self.stdout.write(f"{name:32}" + "".join(f"{one:10.2f}" for one in columns) + f"   {note}".rstrip())


@contextmanager
def _on(cores: Sequence[int]) -> Iterator[list[int]]:
    """Run on these cores, or where the process may; yield which."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores or before)
    except OSError as error:
        raise CommandError(f"This process can't be bound to the cores {cores}: {error}") from error
    try:
        yield sorted(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise CommandError(f"{text!r} is no size: write 480x720.")
    return int(width), int(height)


def _count(text: str, most: int = 100_000_000, least: int = 1) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        raise CommandError(f"{text!r} is no number from {least} to {most:,}.")
    return int(text)
