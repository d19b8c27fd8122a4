"""The daily round of a deployment: a worker does the same in small parts, this makes sure."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from people import delivery, outbox
from people.failed_tasks import failed_tasks

SYNC_SECONDS = 60
SWEEP_SECONDS = 30 * 60
"""A large import goes on with the next round, or with the worker."""


class Command(BaseCommand):
    help = (
        "Apply retention, do what is due in the outbox, compare the remote index with the database. "
        "What fails is told at the end, with exit code 1; the rest is done all the same."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = self._run("apply_retention")
        self._sweep()
        failed += self._run("audit_index")
        while outbox.prune():
            pass
        if given_up := failed_tasks().count():
            failed.append(f"{given_up} pieces of work were given up: see “Work given up” in the admin.")
        if failed:
            raise CommandError("\n".join(failed))

    def _run(self, command: str) -> list[str]:
        """Return what failed."""
        try:
            call_command(command, stdout=self.stdout, stderr=self.stderr)
        except CommandError as error:
            return [f"{command}: {error}"]
        return []

    def _sweep(self) -> None:
        """Do what is due now, each entry once: what fails is put off by the act itself."""
        entries = 0
        until = time.monotonic() + SWEEP_SECONDS
        while (due := outbox.due()) and time.monotonic() < until:
            for entry in due:
                delivery.deliver(entry)
            entries += len(due)
        delivery.sync_index(SYNC_SECONDS)
        self.stdout.write(f"Outbox: {entries} entries were due.")
