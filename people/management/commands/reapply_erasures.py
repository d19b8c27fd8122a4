"""After a restore: erase again whom the backup brought back."""

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
        "Erase again everybody who was erased after the backup was made that the database is restored from. "
        "Takes their ids, or, with none, reads the service's log from standard input and finds them there. "
        "Whoever is not there is passed over, so it can be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="ids of people; else the log is read")
        parser.add_argument("--dry-run", action="store_true", help="tell how many are back; erase nobody")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = [_id(text) for text in options["ids"]] or erasure.erased_by_log(sys.stdin)
        if not wanted:
            raise CommandError("No erasures were found: give ids, or a log that tells of them.")
        back = [one for one in wanted if Person.objects.filter(pk=one).exists()]
        self.stdout.write(f"{len(wanted)} were erased; {len(back)} of them are in the database again.")
        if options["dry_run"]:
            return
        for one in tqdm(back, unit="person", disable=None):
            # one may have gone with another record of the same human
            if person := Person.objects.filter(pk=one).first():
                erasure.erase(person, actor=COMMAND, reason=REASON)
        self.stdout.write("They are erased. Run audit_index --repair where there is a remote index.")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no id of a person.") from error
