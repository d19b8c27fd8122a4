"""`manage.py enrol_synthetic_people`: fill an empty database. `benchmark --http` runs this command."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from benchmark import options
from benchmark.cores import pinned_to
from benchmark.errors import BenchmarkError
from benchmark.synthetic_people import enrol


class Command(BaseCommand):
    help = (
        "Enrol synthetic people in an empty database. Prints JSON with an API key and the number of seconds "
        "it took to read the templates."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("people", type=options.positive, help="number of people")
        parser.add_argument(
            "--cores",
            type=options.cores,
            default="",
            metavar="N,…",
            help="use only these cores (default: all)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with pinned_to(options["cores"]):
                enrolled = enrol(options["people"])
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(enrolled._asdict()))
