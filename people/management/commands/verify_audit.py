"""Whether the audit's hash chain is whole."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from people import audit
from people.models import AuditEvent


class Command(BaseCommand):
    help = "Check the audit's hash chain; exit with 1 and name the first broken event if it is not whole."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = audit.first_broken()
        if broken is not None:
            raise CommandError(
                f"The audit is broken at event {broken.pk} ({broken.at:%Y-%m-%d %H:%M:%S} UTC): it was "
                "changed, or the event before it was changed or removed."
            )
        self.stdout.write(f"The audit is whole: {AuditEvent.objects.count()} events.")
