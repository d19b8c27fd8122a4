"""`manage.py reapply_erasures`: repeat the erasures that restoring a backup has undone."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from people import erasure
from people.actors import COMMAND
from people.models import Person

REASON = "reapplied"


class Command(BaseCommand):
    help = (
        "After restoring a backup, repeat the erasures that were made since that backup. Pass the ids of "
        "the erased people, or none to read them from the service's log on standard input. People who are "
        "not in the database are skipped, so the command is safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="a person's id (default: read the log)")
        parser.add_argument("--dry-run", action="store_true", help="only show how many would be erased")

    def handle(self, *args: Any, **options: Any) -> None:
        erased_ids = [_id(text) for text in options["ids"]] or erasure.erased_by_log(sys.stdin)
        if not erased_ids:
            raise CommandError("No erasures found. Pass ids, or a log that records erasures.")
        restored_ids = [erased_id for erased_id in erased_ids if Person.objects.filter(pk=erased_id).exists()]
        self.stdout.write(
            f"Erased people listed: {len(erased_ids)}. In the database again: {len(restored_ids)}."
        )
        if options["dry_run"]:
            return
        for restored_id in tqdm(restored_ids, unit="person", disable=None):
            # an earlier erasure may have included this record of the same human
            if person := Person.objects.filter(pk=restored_id).first():
                erasure.erase(person, actor=COMMAND, reason=REASON)
        self.stdout.write(
            "All of them are erased again. If you use a remote index, run audit_index --repair now."
        )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a person's id.") from error
