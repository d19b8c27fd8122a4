"""How fast this installation's engine and searches are, on one core or several."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from people import benchmark
from people.engines import get_engine

PORTRAIT = "obama2.jpg"
PHOTOS = "480x720,1080x1620,3024x4032"
SEARCHES = "1000,10000,100000"


class Command(BaseCommand):
    help = (
        "Time the engine's stages on photos of several sizes, searches among synthetic templates, and, with "
        "--against, others beside it: ratios of one run hold where milliseconds don't."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--photos", default=PHOTOS, metavar="WxH,…", help=f"sizes ({PHOTOS})")
        parser.add_argument("--search", default=SEARCHES, metavar="N,…", help=f"collections ({SEARCHES})")
        parser.add_argument(
            "--against", action="append", default=[], choices=tuple(benchmark.OTHERS), metavar="NAME",
            help=f"beside ours in the same run: {', '.join(benchmark.OTHERS)}; may be repeated",
        )  # fmt: skip
        parser.add_argument("--rounds", type=int, default=50, help="of each photo and each search (50)")
        parser.add_argument("--core", type=int, help="run on this core only")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        sizes = [_size(one) for one in options["photos"].split(",") if one]
        searches = [_count(one) for one in options["search"].split(",") if one]
        if options["rounds"] < 1:
            raise CommandError("--rounds must be 1 or more.")
        if options["core"] is not None:
            self._pin(options["core"])
        portrait = settings.FACEREC_SAMPLES_DIR / PORTRAIT
        if sizes and not portrait.is_file():
            raise CommandError(f"There is no {portrait}. Run `manage.py fetch_samples`.")
        engine = get_engine()
        figures = benchmark.describe(engine, sorted(os.sched_getaffinity(0)), options["rounds"])
        figures |= {"photos": {}, "search": {}}
        self.stdout.write(f"Engine {figures['engine']} on cores {figures['cores']}; milliseconds, medians")
        for name, one in benchmark.all_photos(portrait, sizes, engine, options["against"], options["rounds"]):
            figures["photos"][name] = one
            self._tell(name, one)
        for count in searches:
            one = benchmark.search(
                count, engine.dimension, options["rounds"], threads=settings.FACEREC_THREADS
            )
            figures["search"][str(count)] = one
            self.stdout.write(
                f"search among {count:>9,}: {one['p50_ms']:7.2f}   p99 {one['p99_ms']:7.2f}"
                f"   right {one['right']:.1%}"
            )
        if path := options["json"]:
            path.write_text(json.dumps(figures, indent=1) + "\n")
            self.stdout.write(f"Figures: {path}")

    def _tell(self, name: str, one: dict[str, Any]) -> None:
        self.stdout.write(f"photo {name}, {one['faces']} face(s): {one['engine']['p50_ms']:.1f}")
        for stage, times in one["stages"].items():
            self.stdout.write(f"    {stage:18} {times['p50_ms']:8.2f}   p99 {times['p99_ms']:8.2f}")
        for other, times in one["against"].items():
            self.stdout.write(f"    {other:18} {times['p50_ms']:8.1f}   {times['ratio']:.1f} times ours")

    def _pin(self, core: int) -> None:
        try:
            os.sched_setaffinity(0, {core})
        except (OSError, AttributeError) as error:
            raise CommandError(f"This process can't be bound to core {core}: {error}") from error


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise CommandError(f"{text!r} is no size: write 480x720.")
    return int(width), int(height)


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise CommandError(f"{text!r} is no number of people: write 100000.")
    return int(text)
