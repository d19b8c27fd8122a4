from __future__ import annotations

from django.db import models
from django.db.models import Q


class EngineVersion(models.Model):
    """An engine whose templates this installation stores. Without rows, that is the engine in the settings.

    One engine is searched with. A second can be kept alongside it: every enrolment then makes templates
    with both, so that `manage.py reembed` can switch, and switch back, in one transaction.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        SECONDARY = "beside", "Beside"  # stored as in earlier versions, which may run on the same rows

    engine = models.CharField(max_length=100, unique=True, help_text="Name and version.")
    backend = models.CharField(max_length=200, help_text="Short name or dotted path of its class.")
    state = models.CharField(max_length=10, choices=State.choices)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="active"), name="engine_active_is_one"
            )
        ]

    def __str__(self) -> str:
        return f"{self.engine} ({self.state})"
