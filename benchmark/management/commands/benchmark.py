"""`manage.py benchmark`: measure the speed of the engine, of searches and of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from benchmark import chart, options
from benchmark.baselines import BASELINES
from benchmark.errors import BenchmarkError
from benchmark.run import Plan, run
from benchmark.service import ServicePlan

PHOTOS = "480x720,1080x1620,3024x4032"
SEARCHES = "1000,10000,100000"
FACES = "1,2,5,10,20,30"


class Command(BaseCommand):
    help = (
        "Time the engine's stages on photos of several sizes, searches among synthetic templates, and the "
        "service over HTTP. With --against, baselines run alternately with the engine, so the ratios of one "
        "run are meaningful even on a busy machine. The milliseconds are not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--photos",
            type=options.photo_sizes,
            default=PHOTOS,
            metavar="WxH,…",
            help=f"sizes of photos in pixels (default: {PHOTOS})",
        )
        parser.add_argument(
            "--faces", type=options.group_sizes, default=FACES, metavar="N,…",
            help=f"numbers of faces in one photo (default: {FACES})",
        )  # fmt: skip
        parser.add_argument(
            "--search", type=options.counts, default=SEARCHES, metavar="N,…",
            help=f"sizes of collections (default: {SEARCHES})",
        )  # fmt: skip
        parser.add_argument(
            "--against", action="append", default=[], choices=tuple(BASELINES), metavar="NAME",
            help=f"a baseline to compare with: {' or '.join(BASELINES)}; can be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--rounds",
            type=options.positive,
            default=50,
            metavar="N",
            help="runs of each photo and search (default: 50)",
        )
        parser.add_argument(
            "--cores",
            type=options.cores,
            default="",
            metavar="N,…",
            help="use only these cores (default: all)",
        )
        parser.add_argument(
            "--http", type=options.positive, metavar="N",
            help="also measure the service over HTTP, with a temporary database of N people",
        )  # fmt: skip
        parser.add_argument(
            "--workers", type=options.positive, default=1, metavar="N", help="gunicorn workers (default: 1)"
        )
        parser.add_argument(
            "--seconds", type=options.positive, default=20, metavar="N",
            help="duration of the load at 70%% of the service's capacity (default: 20)",
        )  # fmt: skip
        parser.add_argument(
            "--database", default="", metavar="URL",
            help="an empty database for --http, as postgres://user@host/name (default: SQLite); its password "
            "is read from DATABASE_PASSWORD",
        )  # fmt: skip
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
        parser.add_argument(
            "--chart",
            type=options.chart_file,
            metavar="FILE",
            help="draw the results to FILE, an .svg or .png",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            results = run(_plan(options), self.stdout.write)
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if path := options["json"]:
            results.save(path)
            self.stdout.write(f"Results: {path}")
        if path := options["chart"]:
            chart.draw(results, path)
            self.stdout.write(f"Chart: {path}")


def _plan(options: dict[str, Any]) -> Plan:
    service = options["http"] and ServicePlan(
        people=options["http"],
        workers=options["workers"],
        seconds=options["seconds"],
        database_url=options["database"],
    )
    return Plan(
        photo_sizes=options["photos"],
        group_sizes=options["faces"],
        collection_sizes=options["search"],
        against=options["against"],
        rounds=options["rounds"],
        cores=options["cores"],
        service=service,
    )
