"""`manage.py audit_index`: compare the remote index with the database, and repair it."""

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
        "Compare the remote index with the database, id by id. Exits with 1 if they differ, and with 2 if "
        "the index is unavailable. With --repair, the worker sends missing vectors again and deletes extra "
        "ones within a minute."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="send missing vectors again and delete extra ones"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if remote_index() is None:
            self.stdout.write(
                "The in-memory index reads the database itself, so there is nothing to compare."
            )
            return
        try:
            comparison = index_sync.repair(actor=COMMAND) if options["repair"] else index_sync.compare()
        except IndexUnavailable as error:
            raise CommandError(f"The index is unavailable: {error.message}", returncode=2) from error
        failed_purges = failed_tasks().filter(topic=OutboxEntry.Topic.PURGE_VECTOR)
        purges = failed_purges.count()
        self.stdout.write(
            f"Vectors as expected: {comparison.kept}. Being sent or purged: {comparison.waiting}.\n"
            f"Missing from the index: {comparison.missing}. Extra in the index: {comparison.extra}. "
            f"Failed purges: {purges}."
        )
        if not (comparison.drift or purges):
            return
        if options["repair"]:
            retry(failed_purges, actor=COMMAND)
            self.stdout.write("Repair is under way. Run audit_index again in a minute.")
            return
        raise CommandError("The index differs from the database. To repair it, run audit_index --repair.")
