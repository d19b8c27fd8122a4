"""`manage.py verify_audit`: verify the hash chain of the audit log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from people import audit
from people.models import AuditEvent


class Command(BaseCommand):
    help = (
        "Verify the hash chain of the audit log. If it is broken, name the first bad event and exit with 1."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        broken = audit.first_broken()
        if broken is not None:
            raise CommandError(
                f"The audit log is broken at event {broken.pk} ({broken.at:%Y-%m-%d %H:%M:%S} UTC): this "
                "event was changed, or the event before it was changed or removed."
            )
        self.stdout.write(f"The audit log is intact. Events: {AuditEvent.objects.count()}")
