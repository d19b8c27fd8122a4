"""Erase whom the collections' retention rules name."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from people import retention
from people.actors import COMMAND
from people.models import Collection

LINE_EVERY_SECONDS = 15


class Command(BaseCommand):
    help = (
        "Erase people whose consent expired or who were not seen for too long, as their collection says. "
        "Interrupted, it goes on where it stopped. --dry-run only lists them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list who is due, erase nobody")
        parser.add_argument("--collection", metavar="NAME", help="only this collection")

    def handle(self, *args: Any, **options: Any) -> None:
        collections = None
        if name := options["collection"]:
            collections = list(Collection.objects.filter(name=name))
            if not collections:
                raise CommandError(f"There is no collection {name}.")
        if options["dry_run"]:
            self._list(collections)
            return
        erased, told = 0, time.monotonic()
        for one in list(retention.due(collections)):
            erased += retention.apply(one, actor=COMMAND) is not None
            if time.monotonic() - told > LINE_EVERY_SECONDS:
                told = time.monotonic()
                self.stderr.write(f"{erased} erased so far")
        self.stdout.write(f"Erased: {erased}.")

    def _list(self, collections: list[Collection] | None) -> None:
        counts: dict[tuple[str, str], int] = {}
        for one in retention.due(collections):
            self.stdout.write(f"{one.collection.name} {one.person_id} {one.rule} since {one.since:%Y-%m-%d}")
            key = (one.collection.name, one.rule)
            counts[key] = counts.get(key, 0) + 1
        for (name, rule), count in counts.items():
            self.stdout.write(f"{name}: {count} would be erased by {rule}.")
        if not counts:
            self.stdout.write("Nobody is due.")
