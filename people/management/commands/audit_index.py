"""Whether the remote index holds what the database says."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from people import index_sync
from people.actors import COMMAND
from people.errors import IndexUnavailable
from people.failed_tasks import failed_tasks, retry
from people.indexes import remote_index
from people.models import OutboxEntry


class Command(BaseCommand):
    help = (
        "Compare the remote index with the database, id by id; exit with 1 when they differ, with 2 when "
        "the index can't be asked. --repair has what is missing sent again and what is too much deleted; "
        "the worker does it within a minute."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="have the difference mended")

    def handle(self, *args: Any, **options: Any) -> None:
        if remote_index() is None:
            self.stdout.write("The embedded index reads the database itself: there is nothing to compare.")
            return
        try:
            found = index_sync.repair(actor=COMMAND) if options["repair"] else index_sync.compare()
        except IndexUnavailable as error:
            raise CommandError(f"The index can't be asked now: {error.message}", returncode=2) from error
        failed_purges = failed_tasks().filter(topic=OutboxEntry.Topic.PURGE_VECTOR)
        purges = failed_purges.count()
        self.stdout.write(
            f"{found.kept} vectors are where they belong, {found.waiting} are on their way.\n"
            f"Missing in the index: {found.missing}. Too much in it: {found.extra}. "
            f"Purges that were given up: {purges}."
        )
        if not (found.drift or purges):
            return
        if options["repair"]:
            retry(failed_purges, actor=COMMAND)
            self.stdout.write("The difference is being mended. Run audit_index again in a minute.")
            return
        raise CommandError("The index differs from the database. Run it with --repair to mend it.")
