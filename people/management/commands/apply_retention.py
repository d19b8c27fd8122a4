"""Erase whom the collections' rules say to erase, or list them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from people import retention
from people.actors import COMMAND
from people.models import Collection


class Command(BaseCommand):
    help = (
        "Erase people by the rules of their collections: without consent, or unseen for too long. "
        "A worker does the same every hour."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="List who is due, by id; erase nobody.")
        parser.add_argument("--collection", metavar="NAME", help="This collection only. Default: all.")

    def handle(self, *args: Any, **options: Any) -> None:
        collections = Collection.objects.all()
        if name := options["collection"]:
            collections = collections.filter(name=name)
            if not collections.exists():
                raise CommandError(f"There is no collection {name}. Its name stands in the API's URLs.")
        for collection in collections:
            if options["dry_run"]:
                self._list(collection)
            else:
                self._apply(collection)

    def _list(self, collection: Collection) -> None:
        counts: Counter[str] = Counter()
        self.stdout.write(f"{collection.name}:")
        for one in retention.due(collection):
            counts[one.rule] += 1
            self.stdout.write(f"  {one.person_id}  {one.rule}  since {one.since:%Y-%m-%d %H:%M} UTC")
        self.stdout.write(f"  {_summary(counts, 'due')}" if counts else f"  {_nobody(collection)}")

    def _apply(self, collection: Collection) -> None:
        everyone = sum(1 for _ in retention.due(collection))
        receipts = retention.apply(collection, actor=COMMAND)
        shown = tqdm(receipts, total=everyone, desc=collection.name, unit="person", disable=None)
        counts = Counter(receipt.reason for receipt in shown)
        text = _summary(counts, "erased") if counts else _nobody(collection)
        self.stdout.write(f"{collection.name}: {text}")
        if left := sum(1 for _ in retention.due(collection)):
            raise CommandError(
                f"Still due in {collection.name}: {left}. The log says why; then run this again."
            )


def _summary(counts: Counter[str], done: str) -> str:
    by_rule = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    return f"{counts.total()} {done}: {by_rule}"


def _nobody(collection: Collection) -> str:
    return "nobody is due" if retention.rules(collection) else "no rule, so people are kept"
