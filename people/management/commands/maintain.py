"""`manage.py maintain`: daily maintenance.

Workers do the same in small steps throughout the day; this command does what they missed.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from people import delivery, outbox
from people.failed_tasks import failed_tasks

SYNC_SECONDS = 60
SWEEP_SECONDS = 30 * 60
"""Time limit for processing the outbox. Workers, or the next run, continue with a large import."""


class Command(BaseCommand):
    help = (
        "Apply retention rules, process due outbox entries, compare the remote index with the database, and "
        "delete old outbox entries. If a step fails, the others still run; the command then lists the "
        "failures and exits with 1."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        failures = self._run("apply_retention")
        self._sweep()
        failures += self._run("audit_index")
        while outbox.prune():
            pass
        if count := failed_tasks().count():
            failures.append(f'Failed tasks: {count}. See "Failed tasks" in the admin.')
        if failures:
            raise CommandError("\n".join(failures))

    def _run(self, command: str) -> list[str]:
        """Run a command; return its error message in a list, which is empty if it succeeded."""
        try:
            call_command(command, stdout=self.stdout, stderr=self.stderr)
        except CommandError as error:
            return [f"{command}: {error}"]
        return []

    def _sweep(self) -> None:
        """Process due entries, each once: a failed entry is postponed when it fails."""
        entries = 0
        until = time.monotonic() + SWEEP_SECONDS
        while (due := outbox.due()) and time.monotonic() < until:
            for entry in due:
                delivery.deliver(entry)
            entries += len(due)
        delivery.sync_index(SYNC_SECONDS)
        self.stdout.write(f"Outbox entries processed: {entries}")
