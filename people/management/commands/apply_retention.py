"""`manage.py apply_retention`: erase people by their collections' retention rules, or list them."""

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
        "Erase people by the retention rules of their collections: those without consent, and those not seen "
        "for too long. A worker does the same every hour."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="list the ids of people who are due, and erase none"
        )
        parser.add_argument("--collection", metavar="NAME", help="only this collection (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        collections = Collection.objects.all()
        if name := options["collection"]:
            collections = collections.filter(name=name)
            if not collections.exists():
                raise CommandError(f"Collection {name} doesn't exist. Use the name from the API's URLs.")
        for collection in collections:
            if options["dry_run"]:
                self._list(collection)
            else:
                self._apply(collection)

    def _list(self, collection: Collection) -> None:
        counts: Counter[str] = Counter()
        self.stdout.write(f"{collection.name}:")
        for person in retention.due(collection):
            counts[person.rule] += 1
            self.stdout.write(f"  {person.person_id}  {person.rule}  since {person.since:%Y-%m-%d %H:%M} UTC")
        self.stdout.write(f"  {_summary(counts, 'due')}" if counts else f"  {_none_due(collection)}")

    def _apply(self, collection: Collection) -> None:
        total = sum(1 for _ in retention.due(collection))
        receipts = retention.apply(collection, actor=COMMAND)
        progress = tqdm(receipts, total=total, desc=collection.name, unit="person", disable=None)
        counts = Counter(receipt.reason for receipt in progress)
        text = _summary(counts, "erased") if counts else _none_due(collection)
        self.stdout.write(f"{collection.name}: {text}")
        if remaining := sum(1 for _ in retention.due(collection)):
            raise CommandError(
                f"Could not erase everyone in {collection.name}; still due: {remaining}. See the log for the "
                "reason, then run the command again."
            )


def _summary(counts: Counter[str], done: str) -> str:
    by_rule = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    return f"{counts.total()} {done}: {by_rule}"


def _none_due(collection: Collection) -> str:
    return "no one is due" if retention.rules(collection) else "no retention rules; people are kept"
